// GET /metrics: what Prometheus scrapes, as far as the caller may see it.

import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { VERSION } from "../../program/flags.ts";
import type { Shown } from "../../program/metrics/box.ts";
import { CONTENT_TYPE, labelsOf, MetricsText } from "../../program/metrics/text.ts";
import type { Verb } from "../../protocol.ts";
import { callerOf, type Env } from "../http/env.ts";
import type { Services, ServicesOf, WholeServices } from "../services.ts";
import { failures } from "../v1/schema/problems.ts";
import { queryOf, security } from "../v1/schema/schemas.ts";
import { addDesired } from "./desired.ts";
import { EndedCounts } from "./ended_counts.ts";
import { addAgents } from "./fleet.ts";
import { addMirror } from "./mirror.ts";
import { addProcess } from "./process.ts";
import { RecentTexts } from "./recent_texts.ts";
import { addWebhooks } from "./webhooks.ts";

/** Larger fleets have no series for each model of each box, unless they are asked for. */
const EACH_MODEL_UP_TO = 500;

const EXAMPLE = `# HELP gpu_courier_agent_up Whether the agent of a box is online.
# TYPE gpu_courier_agent_up gauge
gpu_courier_agent_up{agent="gpu-1"} 1
`;

const getMetrics = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "getMetrics",
  tags: ["service"],
  summary: "Show the metrics of the fleet and of the server",
  description:
    "In the text format of Prometheus. A token with limits gets those of its agents and verbs, and none of the server itself.",
  security,
  request: {
    query: queryOf({
      collect: z
        .literal("models")
        .optional()
        .meta({ description: `Series for each model also of more than ${EACH_MODEL_UP_TO} agents`, example: "models" }),
    }),
  },
  responses: {
    200: {
      description: "The metrics",
      content: { "text/plain": { schema: z.string(), example: EXAMPLE } },
    },
    ...failures(),
  },
});

export function addMetricsRoute(app: OpenAPIHono<Env>, whole: WholeServices, servicesOf: ServicesOf): void {
  const ended = new EndedCounts({ ended: whole.endedJobs, index: whole.fleet.index });
  const recent = new RecentTexts(whole.clock);
  app.openapi(getMetrics, (context) => {
    const { collect } = context.req.valid("query");
    const { agents, verbs } = callerOf(context);
    const services = servicesOf(context);
    const may = (verb: Verb): boolean => verbs?.has(verb) !== false;
    const shown = {
      eachModel: collect === "models" || services.fleet.index.agents.items.length <= EACH_MODEL_UP_TO,
      models: may("list_models"),
      running: may("list_running"),
      jobs: may("list_jobs"),
    };
    const key = JSON.stringify([agents && [...agents].toSorted(), shown]);
    // What the server's own show of other agents is not for a caller that sees only some.
    const body = recent.get(key, () => metricsText(whole, { services, ended, shown, hasServer: agents === null }));
    context.set("sharedBody", body);
    return context.body(body, 200, { "content-type": CONTENT_TYPE });
  });
}

interface Asked {
  /** As the caller sees them. */
  readonly services: Services;
  readonly ended: EndedCounts;
  readonly shown: Shown;
  readonly hasServer: boolean;
}

function metricsText(whole: WholeServices, asked: Asked): string {
  const text = new MetricsText();
  text.add("gpu_courier_build_info", labelsOf({ version: VERSION }), 1);
  text.addOne("gpu_courier_transport_up", isReadable(whole));
  addFleet(text, asked);
  if (asked.hasServer) addServer(text, whole);
  return text.toString();
}

function addFleet(text: MetricsText, { services, ended, shown }: Asked): void {
  const { fleet, courier } = services;
  const { items } = fleet.index.agents;
  addAgents(text, items, shown, {
    states: (agent) => courier.keys.troubles.forged(agent),
    responses: (agent) => courier.ignoredReplies.get(agent) ?? 0,
  });
  if (!shown.jobs) return;
  ended.writeTo(
    text,
    items.map(({ agent }) => agent),
  );
}

function isReadable({ connection, fleet: { index } }: WholeServices): boolean {
  return connection.isOpen && index.isComplete && index.failure === undefined;
}

function addServer(
  text: MetricsText,
  { measures, refusedLogins, webhooks, desired, mirror, clock }: WholeServices,
): void {
  for (const histogram of measures.all) histogram.writeTo(text);
  text.addOne("gpu_courier_refused_logins_total", refusedLogins.total);
  addWebhooks(text, webhooks.tables.targets(clock.now()));
  addDesired(text, desired.document());
  addMirror(text, mirror);
  addProcess(text);
}
