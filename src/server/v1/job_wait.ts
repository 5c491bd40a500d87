// Waits for the end of a job, for a caller that holds its request open.
import type { Context } from "hono";
import { CourierError } from "../../base/errors.ts";
import { isEnded, type Job } from "../../protocol.ts";
import type { Start } from "../fleet/job_feed.ts";
import { callerOf, type Env } from "../http/env.ts";
import { failWith } from "../http/problem.ts";
import type { Services } from "../services.ts";
import { findJob } from "./job_lookup.ts";

/**
 * The job as it ended, or as it is when the time is over.
 * @throws CourierError as `findJob()`, and when the caller would no longer be let in; HTTPException 429 while too many wait
 */
export async function jobAfterWait(
  context: Context<Env>,
  services: Services,
  id: string,
  waitS: number | undefined,
): Promise<Job> {
  const { jobFeed, listeners, authenticator } = services;
  // First, so that an end between the two is not missed.
  const start = jobFeed.startAfter(undefined);
  const job = await findJob(services, id);
  if (waitS === undefined || context.req.method === "HEAD" || isEnded(job)) return job;
  const caller = callerOf(context);
  const refusal = listeners.refusal(caller);
  if (refusal !== undefined) throw failWith(429, refusal, "Ask without ?wait=");
  const countOut = listeners.add(caller);
  try {
    const ended = await endWithin(services, job, start, { waitMs: waitS * 1000, signal: context.req.raw.signal });
    // Its token may have been revoked meanwhile.
    const still = await authenticator.authenticate(context.get("authorization"));
    if (still instanceof CourierError) throw still;
    return ended ?? (await findJob(services, id));
  } finally {
    countOut();
  }
}

interface Limits {
  readonly waitMs: number;
  /** Aborts when the caller disconnects. */
  readonly signal: AbortSignal;
}

/** Undefined: it did not end in this time. */
async function endWithin(
  { jobFeed, clock }: Services,
  job: Job,
  start: Start,
  { waitMs, signal }: Limits,
): Promise<Job | undefined> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  void clock.sleep(waitMs, either).then(() => stop.abort());
  try {
    for await (const { ended } of jobFeed.listenToJob(job, start, either)) {
      const [end] = ended;
      if (end !== undefined) return end.job;
    }
    return undefined;
  } finally {
    stop.abort();
  }
}
