// Deciding by which key an agent is known.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { TrustedDocument, trustedDocument } from "../../documents/trust.ts";
import { parseGivenKey, trustKey, trustUnsigned } from "../../trust/agents/decisions.ts";
import { requireJson } from "../http/body.ts";
import type { Env } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { EXAMPLES } from "./schema/examples.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { bodyOf, json, PATH, security } from "./schema/schemas.ts";

const TrustRequest = bodyOf({
  key: z
    .string()
    .max(1_000)
    .overwrite((text) => text.trim().replaceAll(/\s+/g, " "))
    .optional()
    .meta({
      description:
        "What `gpu-agent key` prints on the box, its 44 characters, or the id of the known key or of the one in conflict",
    }),
  unsigned: z.literal(true).optional().meta({ description: "The agent does not sign: after a downgrade on purpose" }),
})
  .refine(({ key, unsigned }) => key === undefined || unsigned === undefined, "key and unsigned exclude each other")
  .meta({ id: "TrustRequest", description: "Empty: confirm the known key, which fails at a conflict" });

const trustAgent = createRoute({
  method: "post",
  path: "/v1/agents/{agent}/trust",
  operationId: "trustAgent",
  tags: ["agents"],
  summary: "Confirm or replace the key by which an agent is known",
  description:
    "A box that was replaced has a new key: until it is trusted, the `key_status` of its agent is `conflict`.",
  security,
  middleware: requireJson,
  request: {
    params: PATH.agent,
    query: QUERY.none,
    body: { ...json("The key", TrustRequest, { key: EXAMPLES.trusted.key_id }), required: true },
  },
  responses: {
    200: json("The key by which it is known now", TrustedDocument, EXAMPLES.trusted),
    ...failures(404, 409, 413, 415),
  },
});

export function addTrustRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(trustAgent, async (context) => {
    const { agent } = context.req.valid("param");
    const { key, unsigned } = context.req.valid("json");
    const given = key === undefined ? undefined : parseGivenKey(key);
    const { courier, fleet, keeper } = servicesOf(context);
    const { keys } = courier;
    if (keys.failure !== null) throw keys.failure;
    const { before, after } = unsigned === true ? trustUnsigned(keys, agent) : trustKey(keys, agent, given);
    keeper.save("keys");
    // The document that is there counts at once, if the share can be read.
    await fleet.refresh(agent).catch(() => undefined);
    return context.json(trustedDocument(agent, before, after), 200);
  });
}
