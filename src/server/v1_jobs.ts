// /v1/jobs: starting pulls and looking at jobs. Imports @hono/zod-openapi, the courier's documents.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { isoTime } from "../clock.ts";
import { JobsDocument } from "../courier/document_schemas.ts";
import { jobsDocument, refusedJob } from "../courier/documents.ts";
import type { Agents } from "../courier.ts";
import { asCourierError, CourierError } from "../errors.ts";
import { normalModelName } from "../model_name.ts";
import { Job } from "../protocol.ts";
import { requireJson } from "./body.ts";
import { readFleet, readOrLastKnown } from "./known_fleet.ts";
import type { Env, Services } from "./services.ts";
import { failures, JobRequest, json, PATH, QUERY, security } from "./v1_schemas.ts";

const startJobs = createRoute({
  method: "post",
  path: "/v1/jobs",
  security,
  middleware: requireJson,
  request: { body: { ...json("What to pull, and where", JobRequest), required: true } },
  responses: { 202: json("One job per agent; refused ones have failed", JobsDocument), ...failures },
});

const listJobs = createRoute({
  method: "get",
  path: "/v1/jobs",
  security,
  request: { query: QUERY.agent },
  responses: { 200: json("The jobs under way and those that ended lately", JobsDocument), ...failures },
});

const readJob = createRoute({
  method: "get",
  path: "/v1/jobs/{id}",
  security,
  request: { params: PATH.job },
  responses: { 200: json("One job", Job), ...failures },
});

export function addJobRoutes(app: OpenAPIHono<Env>, services: Services): void {
  app.openapi(startJobs, async (context) => {
    const { model, agents, force } = context.req.valid("json");
    const options = { force, signal: context.req.raw.signal };
    const jobs = await startPulls(services, normalModelName(model), agents, options);
    return context.json(jobsDocument({ jobs }), 202);
  });

  app.openapi(listJobs, async (context) => {
    const { agent } = context.req.valid("query");
    return context.json(await readJobs(services, agent), 200);
  });

  app.openapi(readJob, async (context) => {
    const { id } = context.req.valid("param");
    const refused = services.refusedJobs.find(id);
    if (refused !== undefined) return context.json(refused, 200);
    const { views } = await readFleet(services);
    const job = views.flatMap(({ state }) => state?.jobs ?? []).find((candidate) => candidate.id === id);
    if (job !== undefined) return context.json(job, 200);
    throw new CourierError("not_found", `No agent tells of a job ${id}`, {
      hint: "Jobs that ended long ago are no longer told of",
    });
  });
}

interface PullChoices {
  readonly force: boolean | undefined;
  readonly signal: AbortSignal;
}

async function startPulls(
  services: Services,
  model: string,
  agents: Agents,
  options: PullChoices,
): Promise<readonly Job[]> {
  services.connection.requireOpen();
  const names = agents === "all" ? (await services.courier.choose("all")).map(({ agent }) => agent) : new Set(agents);
  const started = await Promise.all([...names].map(async (agent) => await startPull(services, agent, model, options)));
  services.refusedJobs.add(started.filter(({ isRefused }) => isRefused).map(({ job }) => job));
  return started.map(({ job }) => job);
}

/** A refusal is the job's end, so that one agent's never hides what the others do. */
async function startPull(
  { courier, clock }: Services,
  agent: string,
  model: string,
  options: PullChoices,
): Promise<{ readonly job: Job; readonly isRefused: boolean }> {
  try {
    return { job: await courier.pullModel(agent, model, options), isRefused: false };
  } catch (error) {
    const job = refusedJob(agent, model, asCourierError(error), Bun.randomUUIDv7(), isoTime(clock.now()));
    return { job, isRefused: true };
  }
}

async function readJobs(services: Services, agent: string | undefined): Promise<JobsDocument> {
  const refused = services.refusedJobs.list().filter((job) => agent === undefined || job.agent === agent);
  return await readOrLastKnown(
    services,
    agent,
    async () => {
      const { jobs, unavailable } = await services.courier.listJobs(agent === undefined ? undefined : [agent]);
      return jobsDocument({ jobs: [...jobs, ...refused], unavailable });
    },
    (views, unavailable) => {
      const jobs = views.flatMap(({ state }) => state?.jobs ?? []);
      return jobsDocument({ jobs: [...jobs, ...refused], unavailable });
    },
  );
}
