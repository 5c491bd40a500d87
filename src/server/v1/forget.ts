// DELETE /v1/agents/{agent}: removes from the share what is left of a box that is gone.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { asCourierError } from "../../base/errors.ts";
import { shareAway } from "../../courier/index/share_away.ts";
import { ForgottenDocument, forgottenDocument } from "../../documents/forgotten.ts";
import type { Env } from "../http/env.ts";
import type { WholeServices } from "../services.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { json, PATH, security } from "./schema/schemas.ts";

const EXAMPLE: ForgottenDocument = { agents: [{ agent: "gpu-10", code: null, error: null, commands: 0 }] };

const forgetAgent = createRoute({
  method: "delete",
  path: "/v1/agents/{agent}",
  operationId: "forgetAgent",
  tags: ["agents"],
  summary: "Remove what is left of a box that is gone",
  description:
    "Removes the agent's state, its inbox and the commands in it. An agent that reported in the last 5 minutes, or stopped in the last " +
    "20 seconds, stays (`conflict`). Its key stays known. Not for a token with limits.",
  security,
  request: { params: PATH.agent, query: QUERY.none },
  responses: { 200: json("It is forgotten", ForgottenDocument, EXAMPLE), ...failures(404, 409) },
});

type Services = Pick<WholeServices, "connection" | "courier" | "fleet">;

export function addForgetRoute(app: OpenAPIHono<Env>, { connection, courier, fleet }: Services): void {
  app.openapi(forgetAgent, async (context) => {
    const { agent } = context.req.valid("param");
    connection.requireOpen();
    const answer = await courier.forget(agent).catch((error: unknown) => {
      // It is the server that may not: the caller may.
      throw asCourierError(error).code === "forbidden" ? shareAway(error) : error;
    });
    // Before the watch sees it: the next list has it no more.
    fleet.index.removed(agent);
    return context.json(forgottenDocument([{ agent, answer }]), 200);
  });
}
