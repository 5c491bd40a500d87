// Long work: pulls, a few at a time, oldest first. A second request for a model joins the first.
import { isoTime, within } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { parseJson } from "../../base/foreign_text.ts";
import { sameModel } from "../../base/model_name.ts";
import { isEnded, type Job, LIMITS, newPull, windowNote } from "../../protocol.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { bounded } from "../ollama/text.ts";
import { JobList } from "./job_list.ts";
import { KeptJob } from "./kept_job.ts";
import type { Opening, PullWindows } from "./limits/pull_windows.ts";
import { WindowWatch } from "./limits/window_watch.ts";
import type { Foreseen } from "./preflight.ts";
import { PullJob, type PullJobDeps } from "./pull_job.ts";

export interface JobsDeps extends PullJobDeps {
  readonly agent: string;
  readonly ledger: Pick<Ledger, "jobs" | "keepJob">;
  /** How many pulls run at a time. */
  readonly maxPulls: number;
  /** When pulls may run. */
  readonly windows: PullWindows;
}

export interface PullRequest {
  /** Pull even if the disk seems too small. */
  readonly force?: boolean;
  /** Pull outside the box's windows too. */
  readonly now?: boolean;
  /** When the command that asks was sent, on the transport's clock. */
  readonly askedAtMs?: number | null;
  /**
   * When the command that asks was first run, by the box's clock: the job of that time is still its own, even if it ended
   * meanwhile; null: it asks for the first time.
   */
  readonly resumedSinceMs?: number | null;
  /** What a new job shows until it begins. */
  readonly foreseen?: Foreseen | undefined;
  /** The sender's word for the person or program that asks. */
  readonly requestedBy?: string | null;
}

type Closed = Extract<Opening, { readonly isOpen: false }>;

const UNFORESEEN: Foreseen = { totalBytes: null, note: null };

export class Jobs {
  readonly #deps: JobsDeps;
  readonly #jobs: JobList<PullJob>;
  readonly #running = new Map<PullJob, Promise<void>>();
  /** Ends the wait for the next job that is due. */
  #alarm = new AbortController();
  readonly #closing = new AbortController();
  readonly #window: WindowWatch;

  /** Takes over what the ledger holds: jobs that a stop or crash interrupted are queued again. */
  constructor(deps: JobsDeps) {
    this.#deps = deps;
    this.#jobs = new JobList();
    this.#window = new WindowWatch(deps);
    for (const { id, document } of deps.ledger.jobs()) {
      const kept = KeptJob.safeParse(parseJson(document));
      if (kept.success) this.#jobs.take(new PullJob(kept.data, deps, this.#jobs));
      // A later version may have written it, before it was rolled back.
      else deps.log.error({ job: id, error: kept.error }, "Cannot read a job: it is left out");
    }
    this.#jobs.sortEnded();
  }

  /** Starts what is queued. */
  start(): void {
    this.#runNext();
    void this.#window.run((isOpen) => this.#onWindow(isOpen), this.#closing.signal);
  }

  /**
   * Starts the pull of a model (in Ollama's form), or joins the one under way. Durable when it returns.
   * @throws CourierError `exhausted` when it cannot be saved, or too many are queued: nothing was started
   */
  pull(model: string, request: PullRequest = {}): Job {
    const { force = false, now = false, askedAtMs = null, resumedSinceMs = null, requestedBy = null } = request;
    const known = this.#active(model) ?? this.#endedSince(model, resumedSinceMs);
    if (known !== undefined) {
      known.join({ force, now, askedAtMs });
      if (now) this.#runNext();
      return this.#shown(known);
    }
    this.#requireRoom(model);
    const created = { created_at: isoTime(this.#deps.clock.now()), requested_by: requestedBy };
    const job = { ...newPull(Bun.randomUUIDv7(), this.#deps.agent, model), ...created };
    const fresh = new PullJob({ ...job, force, now, asked_at_ms: askedAtMs, layers: [] }, this.#deps, this.#jobs);
    fresh.foresee(request.foreseen ?? UNFORESEEN);
    fresh.keep();
    this.#jobs.take(fresh);
    this.#deps.changes.notify("state");
    this.#runNext();
    return this.#shown(fresh);
  }

  /**
   * Whether a pull of the model that runs or succeeded was asked for after a time, on the transport's clock.
   * @param nowMs now: a later time is of a clock that was set back since, and does not count
   */
  isAskedSince(model: string, sinceMs: number, nowMs: number): boolean {
    return this.#jobs.all.some(({ job, askedAtMs, isCancelled }) => {
      if (isCancelled || job.state === "failed" || job.state === "cancelled") return false;
      return sameModel(job.model, model) && askedAtMs !== null && askedAtMs > sinceMs && askedAtMs <= nowMs;
    });
  }

  /**
   * Cancels the pull of a model, if there is one.
   * @returns its job once Ollama has stopped, as it ended; null when there was none, or it was done just before
   */
  async cancel(model: string): Promise<Job | null> {
    const active = this.#jobs.all.filter(({ job }) => !isEnded(job) && sameModel(job.model, model));
    const ended = await Promise.all(active.map(async (each) => await each.cancel()));
    return ended.findLast(({ state }) => state === "cancelled") ?? null;
  }

  /**
   * Cancels a job, for all who asked for it. One that was cancelled before stays so.
   * @returns the job once Ollama has stopped, as it ended
   * @throws CourierError `not_found` when there is no such job; `conflict` when it had ended otherwise
   */
  async cancelJob(id: string): Promise<Job> {
    const found = this.#jobs.all.find(({ job }) => job.id === id);
    if (found === undefined) {
      throw new CourierError("not_found", `Cannot cancel job ${id}: no job with that id on this agent`, {
        hint: "gpuctl jobs lists the jobs",
      });
    }
    const job = isEnded(found.job) ? found.job : await found.cancel();
    if (job.state === "cancelled") return job;
    throw new CourierError("conflict", `Cannot cancel the pull of ${job.model}: it has ${job.state}`);
  }

  /** The active jobs and the last that ended, in the order they were requested. */
  list(): readonly Job[] {
    const lastEnded = new Set(this.#jobs.lastEnded(LIMITS.endedJobsInState));
    const shown = this.#jobs.all.filter((each) => !isEnded(each.job) || lastEnded.has(each));
    return shown.map((each) => this.#shown(each));
  }

  /** Queued and running jobs. */
  active(): readonly Job[] {
    return this.history().filter((job) => !isEnded(job));
  }

  /** Jobs that have begun and will need more disk space, except that of this model: running ones, and those that wait to retry. */
  othersBegun(model: string): readonly Job[] {
    const begun = this.#jobs.all.filter(({ job, dueAtMs }) => job.state !== "queued" || Number.isFinite(dueAtMs));
    return begun.map(({ job }) => job).filter((job) => !isEnded(job) && !sameModel(job.model, model));
  }

  /** Every job that is kept, in the order they were requested. */
  history(): readonly Job[] {
    return this.#jobs.all.map((each) => this.#shown(each));
  }

  /** Every job that is kept, with the digests of the layers that it has seen, the newest last. */
  layers(): readonly { readonly job: Job; readonly digests: readonly string[] }[] {
    return this.#jobs.all.map(({ job, digests }) => ({ job, digests }));
  }

  /** The models whose pulls have a place now, also of a cancelled one that has not stopped yet. */
  running(): readonly string[] {
    return [...this.#running.keys()].map(({ job }) => job.model);
  }

  /** Saves the jobs that could not be saved before. */
  noteMissed(): void {
    for (const job of this.#jobs.all) job.noteMissed();
  }

  /** Stops what runs, without ending it: the next start continues it. Waits at most `graceMs` to see it stopped. */
  async close(graceMs: number): Promise<void> {
    this.#closing.abort();
    this.#alarm.abort();
    for (const job of this.#jobs.all) job.stop();
    await within(this.#deps.clock, graceMs, Promise.all(this.#running.values()), null);
  }

  #requireRoom(model: string): void {
    if (this.active().length < LIMITS.activeJobs) return;
    throw new CourierError("exhausted", `Cannot pull ${JSON.stringify(model)}: ${LIMITS.activeJobs} jobs are queued`, {
      hint: "Wait until some have ended, or cancel some: gpuctl jobs, gpuctl cancel",
    });
  }

  #active(model: string): PullJob | undefined {
    return this.#jobs.all.find(({ job, isCancelled }) => {
      return !isEnded(job) && !isCancelled && sameModel(job.model, model);
    });
  }

  #endedSince(model: string, sinceMs: number | null): PullJob | undefined {
    if (sinceMs === null) return undefined;
    return this.#jobs.all.findLast(({ job }) => {
      return sameModel(job.model, model) && Date.parse(job.ended_at ?? "") >= sinceMs;
    });
  }

  /**
   * The oldest job that is due goes first, also one that has waited to retry. One at a time of each model: a cancelled pull
   * may still be stopping when the next one is requested.
   */
  #runNext(): void {
    this.#alarm.abort();
    while (!this.#closing.signal.aborted && this.#running.size < this.#deps.maxPulls) {
      const nowMs = this.#deps.clock.monotonic();
      const next = this.#jobs.all.find((each) => each.dueAtMs <= nowMs && this.#isReady(each));
      if (next === undefined) return this.#wakeLater(nowMs);
      const stopped = next.run(this.othersBegun(next.job.model)).finally(() => {
        this.#running.delete(next);
        this.#runNext();
      });
      this.#running.set(next, stopped);
    }
  }

  #isReady(each: PullJob): boolean {
    const { job, isCancelled } = each;
    const isBusy = [...this.#running.keys()].some((other) => sameModel(other.job.model, job.model));
    return job.state === "queued" && !isCancelled && !isBusy && this.#opensAt(each) === null;
  }

  /** When its window opens; null: it may run. */
  #opensAt({ isNow }: PullJob): Closed | null {
    const opening = this.#window.opening;
    return isNow || opening.isOpen ? null : opening;
  }

  /** A pull that has all of its data needs the line no more: it may end. */
  #onWindow(isOpen: boolean): void {
    for (const each of isOpen ? [] : this.#running.keys()) {
      const { id, model, state } = each.job;
      if (each.isNow || state === "verifying") continue;
      this.#deps.log.info({ job: id, model }, "Pull stopped until its next window");
      each.stop();
    }
    this.#deps.changes.notify("state");
    this.#runNext();
  }

  #wakeLater(nowMs: number): void {
    const dueAtMs = Math.min(...this.#jobs.all.filter((each) => this.#isReady(each)).map((each) => each.dueAtMs));
    if (!Number.isFinite(dueAtMs)) return;
    this.#alarm = new AbortController();
    const { signal } = this.#alarm;
    void this.#runAfter(dueAtMs - nowMs, signal);
  }

  async #runAfter(ms: number, signal: AbortSignal): Promise<void> {
    await this.#deps.clock.sleep(ms, signal);
    if (!signal.aborted) this.#runNext();
  }

  /** A job that waits shows until when it waits for its window, or which pull it is queued behind. */
  #shown(each: PullJob): Job {
    const { job } = each;
    const closed = job.state === "queued" ? this.#opensAt(each) : null;
    if (closed !== null)
      return { ...job, retry_at: isoTime(closed.opensAtMs), waiting_for: windowNote(closed.opensAt) };
    if (job.state !== "queued" || each.dueAtMs > this.#deps.clock.monotonic()) return job;
    const [first, ...more] = this.#running.keys();
    if (first === undefined) return job;
    const reason = first.isRetrying && first.job.note ? ` (${first.job.note})` : "";
    const others = more.length === 0 ? "" : ` and ${more.length} more`;
    return { ...job, retry_at: null, waiting_for: bounded(`queued behind ${first.job.model}${others}${reason}`) };
  }
}
