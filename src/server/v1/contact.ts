// A ping to one agent, and the commands that agents refused: what has to do with commands, and with no model or job.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { PingDocument, RefusedCommandsDocument, refusedBy } from "../../documents/contact.ts";
import { readFleet, selectViews } from "../fleet/known_fleet.ts";
import { type Env, requesterOf } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { json, PATH, security } from "./schema/schemas.ts";

const REFUSED: RefusedCommandsDocument["refused"][number] = {
  agent: "gpu-1",
  at: "2026-11-28T03:37:13.995Z",
  command_id: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
  command: "pull_model",
  model: "phi4",
  code: "forbidden",
  error: "It is not signed",
};

const pingAgent = createRoute({
  method: "post",
  path: "/v1/agents/{agent}/ping",
  operationId: "pingAgent",
  tags: ["agents"],
  summary: "Measure the round trip to one agent",
  description: "Sends a command that changes nothing, so that a viewer may use it too.",
  security,
  request: { params: PATH.agent, query: QUERY.none },
  responses: {
    200: json("The agent answered", PingDocument, { agent: "gpu-1", rtt_ms: 53.214 }),
    ...failures(404, 409, 504, 507),
  },
});

const listRefused = createRoute({
  method: "get",
  path: "/v1/refused",
  operationId: "listRefusedCommands",
  tags: ["agents"],
  summary: "List the commands that agents refused without running them",
  security,
  request: { query: QUERY.refused },
  responses: {
    200: json("The last ones of each agent", RefusedCommandsDocument, { refused: [REFUSED] }),
    ...failures(404),
  },
});

export function addContactRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(pingAgent, async (context) => {
    const { agent } = context.req.valid("param");
    const { connection, courier } = servicesOf(context);
    connection.requireOpen();
    const rttMs = await courier.ping(agent, { signal: requesterOf(context).signal });
    return context.json({ agent, rtt_ms: Math.round(rttMs * 1000) / 1000 }, 200);
  });

  app.openapi(listRefused, async (context) => {
    const { agent } = context.req.valid("query");
    const views = selectViews(await readFleet(servicesOf(context)), agent);
    return context.json({ refused: refusedBy(views) }, 200);
  });
}
