// Starts a pull on one agent for a request, and keeps a refusal where jobs are listed.
import { isoTime } from "../../base/clock.ts";
import { asCourierError, type CourierError } from "../../base/errors.ts";
import type { Courier } from "../../courier.ts";
import { refusedJob } from "../../documents/jobs.ts";
import type { Job } from "../../protocol.ts";
import type { RefusedJobs } from "../store/refused_jobs.ts";
import type { JobFeed } from "./job_feed.ts";

export interface StartedPull {
  readonly job: Job;
  /** Why the agent, or the courier for it, did not start it. */
  readonly refusal?: CourierError;
}

export interface PullChoices {
  readonly force: boolean | undefined;
  readonly now: boolean | undefined;
  readonly signal?: AbortSignal;
  readonly requestedBy: string | undefined;
}

/** A refusal becomes a failed job, so that it never hides the jobs of other agents. */
export async function startPull(
  courier: Pick<Courier, "pullModel" | "now">,
  agent: string,
  model: string,
  options: PullChoices,
): Promise<StartedPull> {
  try {
    return { job: await courier.pullModel(agent, model, options) };
  } catch (error) {
    return refusedPull(courier, agent, model, { refusal: asCourierError(error), requestedBy: options.requestedBy });
  }
}

export function refusedPull(
  courier: Pick<Courier, "now">,
  agent: string,
  model: string,
  { refusal, requestedBy }: { readonly refusal: CourierError; readonly requestedBy: string | undefined },
): StartedPull {
  const job = refusedJob(agent, model, refusal, Bun.randomUUIDv7(), isoTime(courier.now()));
  return { job: { ...job, requested_by: requestedBy ?? null }, refusal };
}

export interface RefusalsKept {
  readonly refusedJobs: Pick<RefusedJobs, "add">;
  readonly jobFeed: Pick<JobFeed, "addEnds">;
}

/** They can be looked up by their ids, and their ends are delivered. */
export function keepRefused({ refusedJobs, jobFeed }: RefusalsKept, refused: readonly StartedPull[]): void {
  const jobs = refused.map(({ job }) => job);
  refusedJobs.add(jobs);
  jobFeed.addEnds(jobs);
}
