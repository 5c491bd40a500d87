// /v1/events and /v1/jobs/{id}/events: what jobs do, as server-sent events.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { agentDocument } from "../../documents/agents.ts";
import { jobDocument } from "../../documents/jobs.ts";
import { isEnded } from "../../protocol.ts";
import { HEARTBEAT_MS, type JobFeed, type JobNews, type Start } from "../fleet/job_feed.ts";
import { Fragments } from "../fleet/lists/fragments.ts";
import { callerOf, type Env } from "../http/env.ts";
import { CALLER_CHECK_MS, stopWithCaller } from "../http/guard/caller_watch.ts";
import { failWith } from "../http/problem.ts";
import { MAX_VIEWER_LISTENERS } from "../limits/listeners.ts";
import type { Services, ServicesOf } from "../services.ts";
import { findJob } from "./job_lookup.ts";
import { failures } from "./schema/problems.ts";
import { PATH, queryOf, security } from "./schema/schemas.ts";

const DESCRIPTION = `Server-sent events; the data of each is a JSON document.

- \`ready\` comes first. \`resumed\` is true if the stream continues after the \`Last-Event-ID\` that was sent, with nothing missing.
- \`agent\` is an Agent: first those that are offline or have a problem, then each whose \`status\` or \`reason\` changes. The
  jobs of an offline agent are as it last published them.
- \`progress\` is an active Job: first all of them, then each that changes, at most twice a second.
- \`ended\` is a Job that has ended. A listener that reconnects with the id of the last event it received as \`Last-Event-ID\`,
  or as \`?lastEventId=\`, gets each end exactly once, even if the server was restarted in between.
- \`models\` and \`removed\` have the name of an agent, only with \`?figures=true\`: its installed or loaded models changed, or it is
  gone. \`agent\` then comes also when its figures change, such as its free disk: not more often than they matter.

A comment is sent at least every ${HEARTBEAT_MS / 1000} s. Slow readers get fewer progress events.
The stream ends when the token expires, and within ${CALLER_CHECK_MS / 1000} s when it is revoked.
A token of the role \`viewer\`, one for some agents or without a changing verb, and a user of the platform may each have
${MAX_VIEWER_LISTENERS} listeners, all together as many as \`--max-listeners\` says: the next one gets status 429.`;

const RETRY_MS = 2000;
const NOTHING_NEW = ": nothing new\n\n";
/** What hono's streamSSE() sets, for a response to HEAD, which has no stream. */
const STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  "transfer-encoding": "chunked",
} as const;
const events = {
  description: "Events, until the listener disconnects",
  content: {
    "text/event-stream": {
      schema: z.string().meta({
        contentMediaType: "text/event-stream",
        contentSchema: { $ref: "#/components/schemas/Event" },
      }),
      example: 'event: ready\ndata: {"resumed":false}\nid: 3f2a9c10-12\nretry: 2000\n\n',
    },
  },
};
const headers = z.object({ "last-event-id": z.string().optional() });
const waysIn = {
  ticket: z.string().optional().meta({ description: "Of `POST /v1/tickets`, in place of a token in the header" }),
  lastEventId: z.string().optional().meta({
    description: "As the header `Last-Event-ID`, for clients that cannot send it. The header wins",
  }),
};
const query = queryOf(waysIn);
const figures = z.enum(["true", "false"]).optional().meta({
  description: "Also each other change of an agent: `agent` with its figures, `models` and `removed`",
});

const watchJobs = createRoute({
  method: "get",
  path: "/v1/events",
  operationId: "watchJobs",
  tags: ["events"],
  summary: "Watch all jobs",
  description: DESCRIPTION,
  security,
  request: { query: queryOf({ ...waysIn, figures }), headers },
  responses: { 200: events, ...failures() },
});

const watchJob = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/events",
  operationId: "watchJob",
  tags: ["events"],
  summary: "Watch one job to its end",
  description: `As /v1/events, for one job; the stream finishes with its end. A listener that reconnects with the id of that end gets status 204.\n\n${DESCRIPTION}`,
  security,
  request: { params: PATH.job, query, headers },
  responses: { 200: events, 204: { description: "Its end was already delivered" }, ...failures(404, 504) },
});

export function addEventRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(watchJobs, (context) => {
    const services = servicesOf(context);
    const { jobFeed } = services;
    const { lastEventId, figures: wanted } = context.req.valid("query");
    const start = jobFeed.startAfter(context.req.valid("header")["last-event-id"] ?? lastEventId);
    const listen: Listen = (signal) => jobFeed.listen(start.after, signal, wanted === "true");
    return streamIfRoom(context, services, start, listen);
  });

  app.openapi(watchJob, async (context) => {
    const { id } = context.req.valid("param");
    const services = servicesOf(context);
    const { jobFeed } = services;
    const { lastEventId } = context.req.valid("query");
    const start = jobFeed.startAfter(context.req.valid("header")["last-event-id"] ?? lastEventId);
    const job = await findJob(services, id);
    if (!isEnded(job))
      return streamIfRoom(context, services, start, (signal) => jobFeed.listenToJob(job, start, signal));
    const end = await jobFeed.endOf(job, start);
    return end === undefined ? context.body(null, 204) : stream(context, services, start, () => only(end));
  });
}

type Listen = (signal: AbortSignal) => AsyncIterable<JobNews>;

/** As `stream()`, for a listener that stays: refused when there are too many. */
function streamIfRoom(context: Context<Env>, services: Services, start: Start, listen: Listen): Response {
  const { listeners } = services;
  const caller = callerOf(context);
  const refusal = listeners.refusal(caller);
  if (refusal !== undefined) throw failWith(429, refusal, "Close some, or poll /v1/jobs instead");
  return stream(context, services, start, async function* counted(signal) {
    const countOut = listeners.add(caller);
    try {
      yield* listen(signal);
    } finally {
      countOut();
    }
  });
}

function stream(context: Context<Env>, services: Services, start: Start, listen: Listen): Response {
  context.header("x-accel-buffering", "no");
  if (context.req.method === "HEAD") return context.body(null, 200, STREAM_HEADERS);
  return streamSSE(context, async (out) => {
    const stop = new AbortController();
    out.onAbort(() => stop.abort());
    void stopWithCaller(context, services, stop);
    const writer = new NewsWriter(out, services, start);
    try {
      for await (const news of listen(stop.signal)) await writer.write(news);
    } catch (error) {
      services.log.error({ error, request_id: context.get("requestId") }, "An event stream failed unexpectedly");
    } finally {
      stop.abort();
    }
  });
}

/** Writes news as events, `ready` before the first. */
class NewsWriter {
  readonly #out: SSEStreamingApi;
  readonly #services: Pick<Services, "jobFeed" | "clock">;
  readonly #start: Start;
  #isReady = false;
  #writtenMs: number;

  constructor(out: SSEStreamingApi, services: Pick<Services, "jobFeed" | "clock">, start: Start) {
    this.#out = out;
    this.#services = services;
    this.#start = start;
    this.#writtenMs = services.clock.monotonic();
  }

  /** News without content are only a reason for a comment, when one is due. */
  async write(news: JobNews): Promise<void> {
    const { jobFeed, clock } = this.#services;
    const isDue = clock.monotonic() - this.#writtenMs >= HEARTBEAT_MS;
    const isEmpty = this.#isReady && isNothing(news);
    if (isEmpty && !isDue) return;
    if (isEmpty) await this.#out.write(NOTHING_NEW);
    if (!this.#isReady) await this.#out.write(this.#ready(news.number));
    if (!isNothing(news)) await this.#out.write(newsBytes(news, jobFeed));
    this.#isReady = true;
    this.#writtenMs = clock.monotonic();
  }

  #ready(number: number): string {
    const { after } = this.#start;
    const id = this.#services.jobFeed.eventId(after ?? number);
    return eventText("ready", JSON.stringify({ resumed: after !== undefined }), { id, retry: RETRY_MS });
  }
}

function isNothing({ agents, progress, models, removed, ended }: JobNews): boolean {
  return agents.length + progress.length + models.length + removed.length + ended.length === 0;
}

/** Hundreds of listeners get the same object: its events are written once. */
const writtenNews = new WeakMap<JobNews, Uint8Array>();
const agentTexts = new Fragments(agentDocument);
const jobTexts = new Fragments(jobDocument);

function newsBytes(news: JobNews, jobFeed: Pick<JobFeed, "eventId">): Uint8Array {
  const known = writtenNews.get(news);
  if (known !== undefined) return known;
  const texts = [
    ...news.agents.map((view) => eventText("agent", agentTexts.of(view))),
    ...news.progress.map((job) => eventText("progress", jobTexts.of(job))),
    ...news.models.map((agent) => eventText("models", JSON.stringify({ agent }))),
    ...news.removed.map((agent) => eventText("removed", JSON.stringify({ agent }))),
    ...news.ended.map(({ job, number }) => eventText("ended", jobTexts.of(job), { id: jobFeed.eventId(number) })),
  ];
  const bytes = new TextEncoder().encode(texts.join(""));
  writtenNews.set(news, bytes);
  return bytes;
}

/** @param data JSON, which has no line breaks */
function eventText(event: string, data: string, { id, retry }: { id?: string; retry?: number } = {}): string {
  const fields = [
    `event: ${event}`,
    `data: ${data}`,
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(retry === undefined ? [] : [`retry: ${retry}`]),
  ];
  return `${fields.join("\n")}\n\n`;
}

async function* only(news: JobNews): AsyncGenerator<JobNews> {
  yield news;
}
