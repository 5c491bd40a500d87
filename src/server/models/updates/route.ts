// /v1/updates: which models of the fleet are not what their registries have now.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { AskAgent } from "../../../documents/models/asked_agents.ts";
import { readUpdates, type UpdateDocument, UpdatesDocument } from "../../../documents/models/updates.ts";
import { readModels } from "../../fleet/read_models.ts";
import type { Env } from "../../http/env.ts";
import type { ServicesOf } from "../../services.ts";
import { QUERY } from "../../v1/schema/list_schemas.ts";
import { failures } from "../../v1/schema/problems.ts";
import { json, security } from "../../v1/schema/schemas.ts";

const OUTDATED: UpdateDocument = {
  name: "phi4:latest",
  digest: "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba",
  size: 9_053_116_391,
  agents: ["gpu-1"],
  state: "outdated",
  registry_digest: "4b1f9f3d1d5c0a9c7e5f8c2a0f4be3a1c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2",
  registry_size: 9_053_116_402,
  checked_at: "2026-11-28T03:37:13.995Z",
  reason: null,
};

const listUpdates = createRoute({
  method: "get",
  path: "/v1/updates",
  operationId: "listUpdates",
  tags: ["models"],
  summary: "Compare the models of the fleet with their registries",
  description:
    "Asks each registry once for each name, within 30 s, or an agent that has the model where gpu-server does not reach it, and keeps its answers for 6 hours, and a failure for " +
    "a minute. Models that Ollama runs on another host are left out.",
  security,
  request: { query: QUERY.updates },
  responses: {
    200: json("One entry per name and digest, the outdated ones first", UpdatesDocument, { updates: [OUTDATED] }),
    ...failures(404, 504),
  },
});

export function addUpdateRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(listUpdates, async (context) => {
    const { agent, name } = context.req.valid("query");
    const services = servicesOf(context);
    const found = await readModels(services, { agent, signal: context.req.raw.signal });
    // Without the signal of this request: its answers are kept for everybody, also when the caller goes away.
    const askAgent: AskAgent = async (of, model, options) => await services.courier.publishedModel(of, model, options);
    return context.json(await readUpdates(services.publishedModels, found, name, askAgent), 200);
  });
}
