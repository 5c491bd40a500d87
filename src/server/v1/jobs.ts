// /v1/jobs: starts pulls, lists and shows jobs, and cancels them.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { z } from "zod";
import { matchesGlob } from "../../base/glob.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import type { Agents } from "../../courier/selection.ts";
import type { Unavailable } from "../../courier/unavailable.ts";
import { isRetrying, JobDocument, JobsDocument, jobDocument } from "../../documents/jobs.ts";
import type { Job } from "../../protocol.ts";
import { requireOnAll } from "../access/route_needs.ts";
import { readOrLastKnown } from "../fleet/known_fleet.ts";
import { Fragments } from "../fleet/lists/fragments.ts";
import { linkTo, pageText } from "../fleet/lists/page_text.ts";
import { inOrder, type Order, pageOf } from "../fleet/lists/pages.ts";
import { respond } from "../fleet/lists/rendered.ts";
import { type PullChoices, type StartedPull, startPull } from "../fleet/start_pull.ts";
import { keepRefusals, startedDocument } from "../fleet/started_pulls.ts";
import { requireJson } from "../http/body.ts";
import { callerOf, type Env, requesterOf } from "../http/env.ts";
import { fetchThenPull } from "../models/mirror/via_mirror.ts";
import type { Services, ServicesOf } from "../services.ts";
import { findJob } from "./job_lookup.ts";
import { jobAfterWait } from "./job_wait.ts";
import { EXAMPLES } from "./schema/examples.ts";
import { conditional, kept, QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { JobRequest, json, PATH, security } from "./schema/schemas.ts";

const PULL = { kind: "pull" as const, model: "phi4", agents: ["gpu-1"] };
const JOBS = { jobs: [EXAMPLES.job] };

const startJobs = createRoute({
  method: "post",
  path: "/v1/jobs",
  operationId: "pullModel",
  tags: ["jobs"],
  summary: "Pull a model on one agent, several or all",
  description:
    "Starts a job on each agent, or joins the job that is already pulling this model there. An agent that refuses, is offline or is unknown gets a failed job with an error code: check each job. Only if every agent that is named is unknown, the response is a 404. Jobs of unknown agents are not in `GET /v1/jobs`. With `via: mirror`, gpu-server fetches the model into the mirror first, and the response has the `fetch`: the jobs start when it has succeeded, and `GET /v1/mirror/fetches/{id}` shows them. If it fails, each of them fails with its reason.",
  security,
  middleware: requireJson,
  request: {
    query: QUERY.none,
    body: { ...json("The model to pull, and the agents", JobRequest, PULL), required: true },
  },
  responses: {
    202: json("One job per agent; a refused one has failed", JobsDocument, JOBS),
    ...failures(404, 413, 415, 501, 507),
  },
});

const listJobs = createRoute({
  method: "get",
  path: "/v1/jobs",
  operationId: "listJobs",
  tags: ["jobs"],
  summary: "List the active jobs and those that ended recently",
  description:
    "By agent, the oldest job of each first, unless `sort` asks for another order: `?sort=-created_at&limit=1` is the newest job.",
  security,
  request: { query: QUERY.jobs },
  parameters: conditional,
  responses: {
    ...kept("One page of the active jobs and those that ended recently", JobsDocument, JOBS),
    ...failures(404, 504),
  },
});

const readJob = createRoute({
  method: "get",
  path: "/v1/jobs/{id}",
  operationId: "getJob",
  tags: ["jobs"],
  summary: "Show one job, even if it ended long ago",
  description:
    "A job that no state shows is looked for on the agents: for an id of the last 30 days. Each agent is asked once in 10 s. With `wait`, callers count as listeners, of which there is a limited number (429).",
  security,
  request: { params: PATH.job, query: QUERY.job },
  responses: { 200: json("One job", JobDocument, EXAMPLES.job), ...failures(404, 504) },
});

const cancelJob = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/cancel",
  operationId: "cancelJob",
  tags: ["jobs"],
  summary: "Cancel a job",
  description:
    "Responds when the pull has stopped. The data already downloaded is kept, and the next pull of the model continues from it. A job that has already succeeded or failed is a `conflict`.",
  security,
  request: { params: PATH.job, query: QUERY.none },
  responses: {
    200: json("The cancelled job", JobDocument, EXAMPLES.cancelled),
    ...failures(404, 409, 501, 504, 507),
  },
});

type Query = z.output<typeof QUERY.jobs>;

const BY_AGENT: Order<Job> = { name: "agent", keyOf: ({ agent, id }) => [agent, id ?? ""] };
/** An id begins with the time of its creation; a job of an older agent has no other. */
const BY_AGE: Order<Job> = { name: "created_at", keyOf: ({ agent, id }) => [id ?? "", agent] };
const ORDERS: Readonly<Record<Query["sort"], Order<Job>>> = {
  agent: BY_AGENT,
  created_at: BY_AGE,
  "-created_at": { ...BY_AGE, name: "-created_at", isDescending: true },
};
const fragments = new Fragments(jobDocument);

export function addJobRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  addStartRoute(app, servicesOf);

  app.openapi(listJobs, async (context) => {
    const query = context.req.valid("query");
    const services = servicesOf(context);
    const { version, read } = await findJobs(services, query.agent);
    const rendered = services.lists.get(context.req.url, version, () => {
      const { jobs, unavailable } = read();
      const isWanted = wantedBy(query);
      const order = ORDERS[query.sort];
      const page = pageOf(inOrder(jobs, order), order, isWanted, query);
      const away = query.after === undefined ? unavailable : [];
      return { text: pageText("jobs", page, fragments, away), next: linkTo(context, page.next) };
    });
    return respond<JobsDocument>(context, rendered);
  });

  app.openapi(readJob, async (context) => {
    const { id } = context.req.valid("param");
    const { wait } = context.req.valid("query");
    return context.json(jobDocument(await jobAfterWait(context, servicesOf(context), id, wait)), 200);
  });

  app.openapi(cancelJob, async (context) => {
    const { id } = context.req.valid("param");
    const services = servicesOf(context);
    services.connection.requireOpen();
    const job = await findJob(services, id);
    return context.json(jobDocument(await services.courier.cancelJob(job, requesterOf(context))), 200);
  });
}

function addStartRoute(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(startJobs, async (context) => {
    const { model: name, agents, force, now, via } = context.req.valid("json");
    const [services, model] = [servicesOf(context), normalModelName(name)];
    // Generated clients send null for a field that was left out.
    const options = { force: force ?? undefined, now: now ?? undefined, ...requesterOf(context) };
    if (via === "mirror") {
      requireOnAll(callerOf(context), "pull_model");
      return context.json(await fetchThenPull(services, model, agents, options), 202);
    }
    return context.json(startedDocument(await startPulls(services, model, agents, options)), 202);
  });
}

function wantedBy({ state, model }: Query): (job: Job) => boolean {
  const isModel = model === undefined ? () => true : modelFilter(model);
  const states = new Set<string | undefined>([state].flat());
  const isMeant = (job: Job): boolean => states.has(job.state) || (states.has("retrying") && isRetrying(job));
  return (job) => (state === undefined || isMeant(job)) && isModel(job.model);
}

/** @throws CourierError `invalid` for what is neither a name nor a pattern */
function modelFilter(text: string): (model: string) => boolean {
  if (/[*?]/.test(text)) return (model) => matchesGlob(text, model);
  const name = normalModelName(text);
  return (model) => sameModel(name, model);
}

async function startPulls(
  services: Services,
  model: string,
  agents: Agents,
  options: PullChoices,
): Promise<readonly StartedPull[]> {
  services.connection.requireOpen();
  const names = agents === "all" ? (await services.courier.choose("all")).map(({ agent }) => agent) : new Set(agents);
  const started = await Promise.all(
    [...names].map(async (agent) => await startPull(services.courier, agent, model, options)),
  );
  keepRefusals(services, started);
  return started;
}

interface ListedJobs {
  readonly jobs: readonly Job[];
  readonly unavailable: readonly Unavailable[];
}

interface Listed {
  /** Undefined: another reading may find others. */
  readonly version?: string;
  /** Only for a response that is not rendered yet. */
  readonly read: () => ListedJobs;
}

async function findJobs(services: Services, agent: string | undefined): Promise<Listed> {
  const { fleet, courier, refusedJobs } = services;
  const isKnown = (name: string): boolean => fleet.index.view(name) !== undefined;
  if (agent === undefined) {
    await fleet.looked();
    const list = fleet.index.jobs;
    if (fleet.index.holdsAll(list)) {
      const read = (): ListedJobs => ({ jobs: [...list.items, ...refusedJobs.list(isKnown)], unavailable: list.away });
      return { version: `${list.version} ${refusedJobs.version(isKnown)}`, read };
    }
  }
  const refused = refusedJobs.list((name) => (agent === undefined ? isKnown(name) : name === agent));
  const { jobs, unavailable } = await readOrLastKnown<ListedJobs>(
    services,
    agent,
    async () => await courier.listJobs(agent === undefined ? undefined : [agent]),
    (views, away) => ({ jobs: views.flatMap(({ state }) => state?.jobs ?? []), unavailable: away }),
  );
  return { read: () => ({ jobs: [...jobs, ...refused], unavailable }) };
}
