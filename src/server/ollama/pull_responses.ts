// The two responses to a pull: a line for each change, or one document at the end.
import type { Context } from "hono";
import { stream } from "hono/streaming";
import { type Clock, within } from "../../base/clock.ts";
import type { Env } from "../http/env.ts";
import { type FollowedPull, followPull } from "./follow_pull.ts";
import type { PullLine } from "./pull_lines.ts";

/** A pull that takes longer gets its status before its end is known. */
const QUICK_MS = 30_000;
const SPACE_EVERY_MS = 15_000;

/** Ends with `success` or with an error. The pull goes on without its client. */
export function streamLines(context: Context<Env>, pull: FollowedPull): Response {
  context.header("content-type", "application/x-ndjson");
  context.header("x-accel-buffering", "no");
  return stream(context, async (out) => {
    const stop = new AbortController();
    out.onAbort(() => stop.abort());
    for await (const lines of followPull(context, pull, stop))
      await out.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  });
}

/**
 * Proxies close a connection that is silent for a minute. So the response to a pull that takes longer is a success that
 * begins with white space, as JSON may. If the pull then fails, the connection breaks off behind the reason: no client must
 * take it for a success.
 */
export async function answerAtEnd(context: Context<Env>, pull: FollowedPull): Promise<Response> {
  const { clock } = pull.services;
  const stop = new AbortController();
  context.req.raw.signal.addEventListener("abort", () => stop.abort(), { once: true });
  const end = lastOf(followPull(context, pull, stop));
  const quick = await within(clock, QUICK_MS, end, null);
  if (quick !== null) return context.json(quick, quick.error === undefined ? 200 : 500);
  context.header("content-type", "application/json");
  context.header("x-accel-buffering", "no");
  // Nothing on the way may gather it to compress it.
  context.header("cache-control", "no-store, no-transform");
  return context.body(spacesUntil(end, clock, stop));
}

async function lastOf(lines: AsyncIterable<readonly PullLine[]>): Promise<PullLine> {
  let last: PullLine = {};
  for await (const some of lines) last = some.at(-1) ?? last;
  return last;
}

function spacesUntil(end: Promise<PullLine>, clock: Clock, stop: AbortController): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const write = async (out: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    for (let last: PullLine | null = null; last === null && !stop.signal.aborted; ) {
      out.enqueue(encoder.encode(" "));
      last = await within(clock, SPACE_EVERY_MS, end, null);
    }
    const last = await end;
    out.enqueue(encoder.encode(JSON.stringify(last)));
    if (last.error === undefined) out.close();
    // Without a reason, which Bun would print.
    else out.error();
  };
  return new ReadableStream({
    start(out) {
      void write(out).catch(() => stop.abort());
    },
    cancel: () => stop.abort(),
  });
}
