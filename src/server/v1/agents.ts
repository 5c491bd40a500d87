// /v1/agents: all agents, and one agent.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { CourierError } from "../../base/errors.ts";
import { AgentDocument, AgentsDocument, agentDocument, agentsDocument } from "../../documents/agents.ts";
import type { Env } from "../http/env.ts";
import { readFleet, selectViews } from "../known_fleet.ts";
import type { Services } from "../services.ts";
import { failures, json, PATH, security } from "./schemas.ts";

const listAgents = createRoute({
  method: "get",
  path: "/v1/agents",
  summary: "List the agents and their status",
  security,
  responses: { 200: json("Every agent", AgentsDocument), ...failures },
});

const readAgent = createRoute({
  method: "get",
  path: "/v1/agents/{agent}",
  summary: "Show one agent",
  security,
  request: { params: PATH.agent },
  responses: { 200: json("One agent", AgentDocument), ...failures },
});

export function addAgentRoutes(app: OpenAPIHono<Env>, services: Services): void {
  app.openapi(listAgents, async (context) => context.json(agentsDocument((await readFleet(services)).views), 200));

  app.openapi(readAgent, async (context) => {
    const { agent } = context.req.valid("param");
    const [view] = selectViews(await readFleet(services), agent);
    if (view === undefined) throw new CourierError("not_found", `Unknown agent "${agent}"`);
    return context.json(agentDocument(view), 200);
  });
}
