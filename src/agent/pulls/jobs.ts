// Long work: pulls, a few at a time, in the order they were asked for; a second request for a model joins the first.
// Imports single pulls, the ledger, protocol, model names, errors.
import { CourierError } from "../../base/errors.ts";
import { parseJson } from "../../base/foreign_text.ts";
import { sameModel } from "../../base/model_name.ts";
import { isEnded, type Job, LIMITS, newPull } from "../../protocol.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { KeptJob } from "./kept_job.ts";
import type { Preflight } from "./preflight.ts";
import { type Foreseen, PullJob, type PullJobParts } from "./pull_job.ts";

export interface JobsOptions extends Omit<PullJobParts, "ended" | "foresee"> {
  readonly agent: string;
  readonly preflight: Pick<Preflight, "check">;
  readonly ledger: Pick<Ledger, "jobs" | "keepJob">;
  /** How many pulls run at a time. */
  readonly maxPulls: number;
}

export interface PullRequest {
  /** Go on where the disk seems too small. */
  readonly force?: boolean;
  /**
   * When the command that asks was first run, by the box's clock: the job of then is still its own, also when it ended
   * meanwhile; null: it asks for the first time.
   */
  readonly resumedSinceMs?: number | null;
  /** What a new one shows until it begins. */
  readonly foreseen?: Foreseen | undefined;
}

const UNFORESEEN: Foreseen = { totalBytes: null, note: null };

export class Jobs {
  readonly #options: JobsOptions;
  readonly #parts: PullJobParts;
  /** Every job that is kept, oldest first. */
  #jobs: PullJob[];
  /** Those that have ended, in that order: not that of their times, since clocks are set back. */
  #ended: PullJob[];
  readonly #running = new Map<PullJob, Promise<void>>();
  #closed = false;

  /** Takes over what the ledger holds: jobs that a stop or crash interrupted are queued again. */
  constructor(options: JobsOptions) {
    this.#options = options;
    this.#parts = {
      ...options,
      ended: (job) => this.#noteEnd(job),
      foresee: async (model, { force, signal }) =>
        await options.preflight.check(model, { force, signal, others: this.othersRunning(model) }),
    };
    this.#jobs = options.ledger.jobs().flatMap(({ id, document }) => {
      const { data, error } = KeptJob.safeParse(parseJson(document));
      if (error !== undefined) options.log.error({ job: id, error }, "Cannot read a job: it is left out");
      return data === undefined ? [] : [new PullJob(data, this.#parts)];
    });
    this.#ended = byEnd(this.#jobs.filter(({ job }) => isEnded(job)));
  }

  /** Begins with what is queued. */
  start(): void {
    this.#runNext();
  }

  /**
   * Starts the pull of a model (in Ollama's form), or joins the one under way. Durable when it returns.
   * @throws CourierError `exhausted` when it cannot be noted, or too many are queued: nothing was started
   */
  pull(model: string, { force = false, resumedSinceMs = null, foreseen = UNFORESEEN }: PullRequest = {}): Job {
    const known = this.#active(model) ?? this.#endedSince(model, resumedSinceMs);
    if (known !== undefined) {
      if (force) known.allowForce();
      return known.job;
    }
    this.#requireRoom(model);
    const job = newPull(Bun.randomUUIDv7(), this.#options.agent, model);
    const fresh = new PullJob({ ...job, force, layers: [] }, this.#parts);
    fresh.foresee(foreseen);
    fresh.keep();
    this.#jobs.push(fresh);
    this.#options.changes.notify("state");
    this.#runNext();
    return fresh.job;
  }

  /**
   * Cancels the pull of a model, if there is one.
   * @returns its job once Ollama has stopped, as it ended; null when there was none, or it was done just before
   */
  async cancel(model: string): Promise<Job | null> {
    const active = this.#jobs.filter(({ job }) => !isEnded(job) && sameModel(job.model, model));
    const ended = await Promise.all(active.map(async (each) => await each.cancel()));
    return ended.findLast(({ state }) => state === "cancelled") ?? null;
  }

  /**
   * Cancels a job, for all who asked for it. One that was cancelled before stays so.
   * @returns the job once Ollama has stopped, as it ended
   * @throws CourierError `not_found` when there is no such job; `conflict` when it had ended otherwise
   */
  async cancelJob(id: string): Promise<Job> {
    const found = this.#jobs.find(({ job }) => job.id === id);
    if (found === undefined) {
      throw new CourierError("not_found", `Cannot cancel job ${id}: this agent has none of that id`, {
        hint: "gpuctl jobs shows those that there are",
      });
    }
    const job = isEnded(found.job) ? found.job : await found.cancel();
    if (job.state === "cancelled") return job;
    throw new CourierError("conflict", `Cannot cancel the pull of ${job.model}: it has ${job.state}`);
  }

  /** The active jobs and the last that ended, in the order they were asked for. */
  list(): readonly Job[] {
    const lastEnded = new Set(this.#ended.slice(-LIMITS.endedJobsInState));
    return this.#jobs.filter((each) => !isEnded(each.job) || lastEnded.has(each)).map(({ job }) => job);
  }

  /** Those that are queued or under way. */
  active(): readonly Job[] {
    return this.history().filter((job) => !isEnded(job));
  }

  /** Those under way, but for that of this model. */
  othersRunning(model: string): readonly Job[] {
    return this.active().filter((job) => job.state !== "queued" && !sameModel(job.model, model));
  }

  /** Every job that is kept, in the order they were asked for. */
  history(): readonly Job[] {
    return this.#jobs.map(({ job }) => job);
  }

  /** Notes the jobs that could not be noted, now that something can be. */
  noteMissed(): void {
    for (const job of this.#jobs) job.noteMissed();
  }

  /** Stops what runs, without ending it: the next start goes on. Waits at most `graceMs` to see it stopped. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    for (const job of this.#jobs) job.stop();
    const timer = new AbortController();
    await Promise.race([Promise.all(this.#running.values()), this.#options.clock.sleep(graceMs, timer.signal)]);
    timer.abort();
  }

  #requireRoom(model: string): void {
    if (this.active().length < LIMITS.activeJobs) return;
    throw new CourierError("exhausted", `Cannot pull ${JSON.stringify(model)}: ${LIMITS.activeJobs} jobs are queued`, {
      hint: "Wait until some have ended, or end some: gpuctl jobs, gpuctl cancel",
    });
  }

  #active(model: string): PullJob | undefined {
    return this.#jobs.find(({ job, isCancelled }) => {
      return !isEnded(job) && !isCancelled && sameModel(job.model, model);
    });
  }

  #endedSince(model: string, sinceMs: number | null): PullJob | undefined {
    if (sinceMs === null) return undefined;
    return this.#jobs.findLast(({ job }) => {
      return sameModel(job.model, model) && Date.parse(job.ended_at ?? "") >= sinceMs;
    });
  }

  /** One at a time of each model: a cancelled pull may still be stopping when the next is asked for. */
  #runNext(): void {
    while (!this.#closed && this.#running.size < this.#options.maxPulls) {
      const busy = [...this.#running.keys()].map(({ job }) => job.model);
      const next = this.#jobs.find(({ job, isCancelled }) => {
        return job.state === "queued" && !isCancelled && !busy.some((model) => sameModel(model, job.model));
      });
      if (next === undefined) return;
      const ended = next.run().finally(() => {
        this.#running.delete(next);
        this.#runNext();
      });
      this.#running.set(next, ended);
    }
  }

  #noteEnd(job: PullJob): void {
    this.#ended.push(job);
    const forgotten = new Set(this.#ended.slice(0, -LIMITS.endedJobsKept));
    if (forgotten.size === 0) return;
    this.#ended = this.#ended.slice(-LIMITS.endedJobsKept);
    this.#jobs = this.#jobs.filter((each) => !forgotten.has(each));
  }
}

function byEnd(jobs: readonly PullJob[]): PullJob[] {
  return jobs.toSorted(({ job: a }, { job: b }) => (a.ended_at ?? "").localeCompare(b.ended_at ?? ""));
}
