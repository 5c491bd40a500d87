// /v1/events and /v1/jobs/{id}/events: what jobs do, as server-sent events. Imports hono's streaming, documents, the feed.
// A job is told as `progress` while it is under way and as `ended` once; ids make the ends resumable.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { type AgentDocument, agentDocument } from "../../documents/agents.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { failWith } from "../http/problem.ts";
import { HEARTBEAT_MS, type JobNews, MAX_LISTENERS } from "../job_feed.ts";
import type { Env, Services } from "../services.ts";
import { findJob } from "./job_lookup.ts";
import { failures, PATH, security } from "./schemas.ts";

const DESCRIPTION = `Server-sent events; each one's data is a JSON document.

- \`ready\` comes first. Its \`resumed\` tells whether all is told that ended after the \`Last-Event-ID\` which was sent.
- \`agent\` is an Agent: those that are away or not well once at the beginning, then each when its \`status\` or \`reason\`
  changes. The jobs of one that is away are as it told of them last.
- \`progress\` is a Job under way: all of them once at the beginning, then each when it changes, at most twice a second.
- \`ended\` is a Job at its end. Each end is told once to each listener who sends the id of the last event that it got as
  \`Last-Event-ID\` when it comes back, also after a restart of the server.

A comment comes at least every ${HEARTBEAT_MS / 1000} s. Who reads slowly is told of progress less often.
More than ${MAX_LISTENERS} listeners at a time are answered 429.`;

const RETRY_MS = 2000;
const stream = {
  description: "Events, until the listener goes",
  content: { "text/event-stream": { schema: z.string() } },
};
const headers = z.object({ "last-event-id": z.string().optional() });

const watchJobs = createRoute({
  method: "get",
  path: "/v1/events",
  summary: "Watch all jobs",
  description: DESCRIPTION,
  security,
  request: { headers },
  responses: { 200: stream, ...failures },
});

const watchJob = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/events",
  summary: "Watch one job to its end",
  description: `As /v1/events, of one job; the stream ends with its end. Coming back with the id of that end: 204.\n\n${DESCRIPTION}`,
  security,
  request: { params: PATH.job, headers },
  responses: { 200: stream, 204: { description: "Its end was told already" }, ...failures },
});

export function addEventRoutes(app: OpenAPIHono<Env>, services: Services): void {
  const { endedJobs } = services;

  app.openapi(watchJobs, (context) => {
    requireRoom(services);
    const after = position(services, context.req.valid("header")["last-event-id"]);
    return tell(context, services, { after, news: services.jobFeed.listen.bind(services.jobFeed, after) });
  });

  app.openapi(watchJob, async (context) => {
    const { id } = context.req.valid("param");
    const after = position(services, context.req.valid("header")["last-event-id"]);
    // Before the job is looked at: so its end cannot fall between looking and listening.
    const start = after ?? endedJobs.last;
    const job = await findJob(services, id, context.req.raw.signal);
    if (!isEnded(job)) {
      requireRoom(services);
      const listen = (signal: AbortSignal) => onlyJob(job, services.jobFeed.listen(start, signal));
      return tell(context, services, { after, news: listen });
    }
    await services.jobFeed.refresh();
    const number = endedJobs.find(id)?.number;
    if (after !== undefined && after >= (number ?? 0)) return context.body(null, 204);
    const end = { agents: [], progress: [], ended: [{ number: number ?? endedJobs.last, job }], number: start };
    return tell(context, services, { after, news: () => only(end) });
  });
}

function requireRoom({ jobFeed }: Services): void {
  if (jobFeed.isFull)
    throw failWith(429, `${MAX_LISTENERS} listeners are there already`, "Close some, or ask for /v1/jobs now and then");
}

interface Telling {
  /** The number of the last end that the listener knows; undefined: it is new here. */
  readonly after: number | undefined;
  readonly news: (signal: AbortSignal) => AsyncIterable<JobNews>;
}

function tell(context: Context<Env>, services: Services, { after, news }: Telling): Response {
  const { endedJobs, clock, log } = services;
  // Nobody would read the body of this one.
  if (context.req.method === "HEAD") return context.body(null, 200, { "content-type": "text/event-stream" });
  // nginx holds what it passes on back until a buffer is full, unless it is told not to.
  context.header("x-accel-buffering", "no");
  return streamSSE(context, async (out) => {
    const stop = new AbortController();
    out.onAbort(() => stop.abort());
    const mayListen = tokenCheck(context, services);
    try {
      let isFirst = true;
      let writtenMs = clock.monotonic();
      for await (const { agents, progress, ended, number } of news(stop.signal)) {
        const ready = {
          event: "ready",
          id: `${endedJobs.id}-${after ?? number}`,
          data: { resumed: after !== undefined },
        };
        const events = [
          ...(isFirst ? [`retry: ${RETRY_MS}\n${eventText(ready)}`] : []),
          ...agents.map((view) => eventText({ event: "agent", data: agentDocument(view) })),
          ...progress.map((job) => eventText({ event: "progress", data: job })),
          ...ended.map((end) => eventText({ event: "ended", id: `${endedJobs.id}-${end.number}`, data: end.job })),
        ];
        isFirst = false;
        const isQuiet = clock.monotonic() - writtenMs >= HEARTBEAT_MS;
        if (events.length === 0 && !isQuiet) continue;
        await out.write(events.join("") || ": nothing new\n\n");
        writtenMs = clock.monotonic();
        if (!mayListen()) break;
      }
    } catch (error) {
      log.error({ error }, "A listener's events ended unexpectedly");
    }
  });
}

/** Whether the request's token is still valid; looked up now and then, since a stream outlives many a token. */
function tokenCheck(context: Context<Env>, { tokens, clock }: Services): () => boolean {
  const token = context.get("token");
  let checkedMs = clock.monotonic();
  return () => {
    if (clock.monotonic() - checkedMs < HEARTBEAT_MS) return true;
    checkedMs = clock.monotonic();
    return tokens.list().some(({ name, created_at }) => name === token?.name && created_at === token.created_at);
  };
}

/** One job's part of the news; ends with its end. */
async function* onlyJob({ id, agent }: Job, all: AsyncIterable<JobNews>): AsyncGenerator<JobNews> {
  for await (const { agents, progress, ended, number } of all) {
    const own = ended.filter(({ job }) => job.id === id);
    yield {
      agents: agents.filter((view) => view.agent === agent),
      progress: progress.filter((job) => job.id === id),
      ended: own,
      number,
    };
    if (own.length > 0) return;
  }
}

async function* only(news: JobNews): AsyncGenerator<JobNews> {
  yield news;
}

/** The number in an event's id; undefined: there is none, or what ended since then is not all known here. */
function position({ endedJobs }: Services, eventId: string | undefined): number | undefined {
  const [, log, digits] = /^([0-9a-f]+)-(\d{1,15})$/.exec(eventId ?? "") ?? [];
  const number = Number(digits);
  return log === endedJobs.id && endedJobs.reaches(number) ? number : undefined;
}

interface Event {
  readonly event: string;
  readonly id?: string;
  readonly data: Job | AgentDocument | { readonly resumed: boolean };
}

function eventText({ event, id, data }: Event): string {
  return `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}
