// /v1/agents: all agents, and one agent.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { z } from "zod";
import { matchesGlob } from "../../base/glob.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { unknownAgent } from "../../courier/refusals.ts";
import { AgentDocument, AgentsDocument, agentDocument } from "../../documents/agents.ts";
import { fleetFailure } from "../fleet/known_fleet.ts";
import { Fragments } from "../fleet/lists/fragments.ts";
import { linkTo, pageText } from "../fleet/lists/page_text.ts";
import { inOrder, type Order, pageOf } from "../fleet/lists/pages.ts";
import { respond, respondWith } from "../fleet/lists/rendered.ts";
import type { Env } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { EXAMPLES } from "./schema/examples.ts";
import { conditional, kept, QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { PATH, security } from "./schema/schemas.ts";

const listAgents = createRoute({
  method: "get",
  path: "/v1/agents",
  operationId: "listAgents",
  tags: ["agents"],
  summary: "List the agents and their status",
  description: "`last_seen_at` and the figures of an online agent may be a minute old; `status` never is.",
  security,
  request: { query: QUERY.agents },
  parameters: conditional,
  responses: { ...kept("One page of the agents", AgentsDocument, { agents: [EXAMPLES.agent] }), ...failures() },
});

const readAgent = createRoute({
  method: "get",
  path: "/v1/agents/{agent}",
  operationId: "getAgent",
  tags: ["agents"],
  summary: "Show one agent",
  security,
  request: { params: PATH.agent, query: QUERY.none },
  parameters: conditional,
  responses: { ...kept("One agent", AgentDocument, EXAMPLES.agent), ...failures(404) },
});

type Query = z.output<typeof QUERY.agents>;

const BY_NAME: Order<AgentView> = { name: "name", keyOf: ({ agent }) => [agent] };
const ORDERS: Readonly<Record<Query["sort"], Order<AgentView>>> = {
  name: BY_NAME,
  "-name": { ...BY_NAME, name: "-name", isDescending: true },
};
const fragments = new Fragments(agentDocument);

export function addAgentRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(listAgents, async (context) => {
    const query = context.req.valid("query");
    const services = servicesOf(context);
    await fleetFailure(services);
    const { agents } = services.fleet.index;
    const rendered = services.lists.get(context.req.url, String(agents.version), () => {
      const { items } = agents;
      const order = ORDERS[query.sort];
      const page = pageOf(order === BY_NAME ? items : inOrder(items, order), order, wantedBy(query), query);
      return { text: pageText("agents", page, fragments), next: linkTo(context, page.next) };
    });
    return respond<AgentsDocument>(context, rendered);
  });

  app.openapi(readAgent, async (context) => {
    const { agent } = context.req.valid("param");
    const services = servicesOf(context);
    const { fleet } = services;
    const failure = await fleetFailure(services);
    const view = failure === undefined ? await fleet.find(agent) : fleet.index.view(agent);
    if (view === undefined) throw unknownAgent(agent, fleet.lastKnown());
    return respondWith<AgentDocument>(context, fragments.of(view));
  });
}

function wantedBy({ name, status, label }: Query): (view: AgentView) => boolean {
  const [key = "", value] = label === undefined ? [] : splitLabel(label);
  return ({ agent, online, state }) =>
    (name === undefined || matchesGlob(name, agent)) &&
    (status === undefined || online === (status === "online")) &&
    (label === undefined || hasLabel(state?.labels ?? {}, key, value));
}

/** Keys have no `=`. */
function splitLabel(label: string): [string, string | undefined] {
  const at = label.indexOf("=");
  return at < 0 ? [label, undefined] : [label.slice(0, at), label.slice(at + 1)];
}

function hasLabel(labels: Readonly<Record<string, string>>, key: string, value: string | undefined): boolean {
  if (!Object.hasOwn(labels, key)) return false;
  return value === undefined || labels[key] === value;
}
