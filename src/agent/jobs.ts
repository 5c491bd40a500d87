// Long work: pulls, one at a time, in the order they were asked for; a second request for a model joins the first.
// Imports the Ollama module, ledger, protocol, clock, errors.
import { type Clock, isoTime } from "../clock.ts";
import { asCourierError } from "../errors.ts";
import type { Log } from "../log.ts";
import { sameModel } from "../model_name.ts";
import { isEnded, type Job, LIMITS, newPull } from "../protocol.ts";
import type { Ledger } from "./ledger.ts";
import type { Ollama, PullProgress } from "./ollama.ts";
import { Speed } from "./speed.ts";

export interface JobsOptions {
  readonly agent: string;
  readonly ollama: Pick<Ollama, "pullModel">;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  /** A job began, ended or moved on; `progress` says that only bytes did. */
  readonly changed: (what: "state" | "progress") => void;
  /** Called before a pull counts as succeeded. @returns the model's size, now that it is in the agent's list; or null */
  readonly pulled: (model: string) => Promise<number | null>;
}

interface Entry {
  job: Job;
  /** Somebody wants it gone: it ends as cancelled, also when the agent is stopping. */
  isCancelled: boolean;
  readonly controller: AbortController;
  readonly ended: PromiseWithResolvers<void>;
}

export class Jobs {
  readonly #options: JobsOptions;
  /** Every job that is kept, oldest first. */
  #entries: Entry[];
  #running: Promise<void> | undefined;
  #closed = false;

  /** Takes over what the ledger holds: jobs that a stop or crash interrupted are queued again. */
  constructor(options: JobsOptions) {
    this.#options = options;
    this.#entries = options.ledger.jobs().map((job) => entry(isEnded(job) ? job : requeued(job)));
    for (const { job, ended } of this.#entries) if (isEnded(job)) ended.resolve();
  }

  /** Begins with what is queued. */
  start(): void {
    this.#runNext();
  }

  /**
   * Starts the pull of a model (in Ollama's form), or joins the one under way. Durable when it returns.
   * @param resumedSinceMs when the command that asks was first run, by the box's clock: the job of then is still its own,
   *   also when it ended meanwhile; null: it asks for the first time
   * @throws CourierError `exhausted` when it cannot be noted: nothing was started
   */
  pull(model: string, resumedSinceMs: number | null = null): Job {
    const known = this.#active(model) ?? this.#endedSince(model, resumedSinceMs);
    if (known !== undefined) return known.job;
    const fresh = entry(newPull(Bun.randomUUIDv7(), this.#options.agent, model));
    this.#options.ledger.keepJob(fresh.job);
    this.#entries.push(fresh);
    this.#options.changed("state");
    this.#runNext();
    return fresh.job;
  }

  /**
   * Cancels the pull of a model, if there is one.
   * @returns once Ollama was told to stop: whether there was one
   */
  async cancel(model: string): Promise<boolean> {
    const active = this.#active(model);
    if (active === undefined) return false;
    active.isCancelled = true;
    active.controller.abort();
    if (active.job.state === "queued") this.#end(active, { state: "cancelled", code: "cancelled" });
    await active.ended.promise;
    return true;
  }

  /** The active jobs and the last ended ones, oldest first. */
  list(): readonly Job[] {
    const jobs = this.#entries.map(({ job }) => job);
    const ended = jobs.filter(isEnded).slice(-LIMITS.endedJobsInState);
    return jobs.filter((job) => !isEnded(job) || ended.includes(job));
  }

  /** Stops what runs, without ending it: the next start goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { controller } of this.#entries) controller.abort();
    await this.#running;
  }

  #active(model: string): Entry | undefined {
    return this.#entries.find(({ job }) => !isEnded(job) && sameModel(job.model, model));
  }

  #endedSince(model: string, sinceMs: number | null): Entry | undefined {
    if (sinceMs === null) return undefined;
    return this.#entries.findLast(
      ({ job }) => sameModel(job.model, model) && Date.parse(job.ended_at ?? "") >= sinceMs,
    );
  }

  #runNext(): void {
    const next = this.#entries.find(({ job }) => job.state === "queued");
    if (this.#running !== undefined || this.#closed || next === undefined) return;
    this.#running = this.#run(next).finally(() => {
      this.#running = undefined;
      this.#runNext();
    });
  }

  /** Never rejects: how it ended stands in the job. */
  async #run(found: Entry): Promise<void> {
    const { ollama, clock, log, pulled } = this.#options;
    const speed = new Speed();
    this.#update(found, { state: "running", started_at: found.job.started_at ?? isoTime(clock.now()) }, "state");
    log.info({ job: found.job.id, model: found.job.model }, "Pull started");
    try {
      await ollama.pullModel(found.job.model, {
        signal: found.controller.signal,
        onProgress: (progress) => this.#progress(found, progress, speed),
      });
      const size = await pulled(found.job.model);
      // Small blobs, and those that are there already, may show no progress at all.
      const bytes = Math.max(found.job.total_bytes ?? size ?? 0, found.job.completed_bytes);
      this.#end(found, { state: "succeeded", completed_bytes: bytes, total_bytes: bytes });
    } catch (error) {
      this.#fail(found, error);
    }
  }

  #fail(found: Entry, error: unknown): void {
    const { code, message, hint } = asCourierError(error);
    if (this.#closed && !found.isCancelled) this.#update(found, requeued(found.job), "state");
    else if (code === "cancelled") this.#end(found, { state: "cancelled", code });
    else this.#end(found, { state: "failed", code, error: hint === undefined ? message : `${message}. ${hint}` });
  }

  #progress(found: Entry, { phase, completedBytes, totalBytes }: PullProgress, speed: Speed): void {
    speed.note(completedBytes, this.#options.clock.monotonic());
    const rate = speed.bytesPerSecond();
    const left = totalBytes === null ? null : totalBytes - completedBytes;
    const state = phase === "verifying" || phase === "writing" ? "verifying" : "running";
    const what = state === found.job.state ? "progress" : "state";
    this.#update(
      found,
      {
        state,
        completed_bytes: completedBytes,
        total_bytes: totalBytes,
        bytes_per_second: rate,
        eta_seconds: left === null || rate === null || rate === 0 ? null : Math.ceil(left / rate),
      },
      what,
    );
  }

  #end(found: Entry, end: Partial<Job>): void {
    const { clock, log } = this.#options;
    this.#update(found, { ...end, bytes_per_second: null, eta_seconds: null, ended_at: isoTime(clock.now()) }, "state");
    const { id, model, state, code, error } = found.job;
    log.info({ job: id, model, ...(error === null ? {} : { code, error }) }, `Pull ${state}`);
    const ended = this.#entries.filter((each) => isEnded(each.job));
    const forgotten = new Set(ended.slice(0, -KEPT_JOBS));
    this.#entries = this.#entries.filter((each) => !forgotten.has(each));
    found.ended.resolve();
  }

  #update(found: Entry, change: Partial<Job>, what: "state" | "progress"): void {
    found.job = { ...found.job, ...change };
    if (what === "state") this.#keep(found.job);
    this.#options.changed(what);
  }

  /** A job goes on, and ends, also where it cannot be noted: then only a restart would not know of it. */
  #keep(job: Job): void {
    try {
      this.#options.ledger.keepJob(job);
    } catch (error) {
      this.#options.log.error({ job: job.id, error }, "Cannot note a job");
    }
  }
}

const KEPT_JOBS = 200;

function entry(job: Job): Entry {
  return { job, isCancelled: false, controller: new AbortController(), ended: Promise.withResolvers() };
}

function requeued(job: Job): Job {
  return { ...job, state: "queued", bytes_per_second: null, eta_seconds: null };
}
