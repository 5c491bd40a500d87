// One pull as a job: from queued to its end, what it shows on the way, and what it keeps for the next process.
import { type Clock, isoTime } from "../../base/clock.ts";
import { asCourierError, type CourierError } from "../../base/errors.ts";
import { shortReason } from "../../base/foreign_text.ts";
import type { Log } from "../../base/log.ts";
import { parseModelName, sameModel } from "../../base/model_name.ts";
import type { AllowedRegistries } from "../../program/registry/allowed_registries.ts";
import { isEnded, type Job } from "../../protocol.ts";
import type { ModelsFolder } from "../disk/models_folder.ts";
import type { PulledBlobs } from "../disk/pulled_blobs.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { OllamaMonitor } from "../ollama/monitor.ts";
import type { Ollama } from "../ollama/ollama.ts";
import { type PullProgress, PullTracker } from "../ollama/pull_tracker.ts";
import { bounded } from "../ollama/text.ts";
import { type AttemptEvent, attempts, type PullLimits } from "./attempts.ts";
import type { HostNames } from "./host_names.ts";
import { JobProgress } from "./job_progress.ts";
import { isSame, joined, type KeptJob, type Wishes } from "./kept_job.ts";
import type { Foreseen, Preflight } from "./preflight.ts";
import { Remains } from "./remains.ts";
import { durationText } from "./retry_budget.ts";

export interface PullJobDeps {
  readonly ollama: Pick<Ollama, "pullModel" | "deleteModel">;
  readonly ledger: Pick<Ledger, "keepJob">;
  readonly blobs: Pick<PulledBlobs, "bytes" | "untilStopped" | "wrong">;
  readonly models: Pick<ModelsFolder, "missing">;
  readonly registries: Pick<AllowedRegistries, "requireAllowed">;
  readonly preflight: Pick<Preflight, "check">;
  readonly hostNames: Pick<HostNames, "isMissing">;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: PullLimits;
  /** A job began, ended or advanced; `progress` says that it only advanced. */
  readonly changes: { notify(what: "state" | "progress"): void };
  /** Lists the models again before a pull counts as succeeded. */
  readonly monitor: Pick<OllamaMonitor, "refresh" | "models">;
}

/** Where a job is entered right before it shows that it has ended; once each. */
export interface Endings {
  add(job: PullJob): void;
}

const TICK_MS = 1000;
/** After a kill, the next process knows how far a pull was at most this long before. */
const NOTE_EVERY_MS = 5000;
/** Ollama asks a registry that fails for the data again and again, and reports nothing meanwhile. */
const NO_DATA_MS = 5000;
/** A shorter pause is not worth giving the slot to another pull. */
const KEEPS_SLOT_MS = 2000;

export class PullJob {
  readonly #deps: PullJobDeps;
  readonly #endings: Endings;
  readonly #tracker: PullTracker;
  readonly #progress: JobProgress;
  readonly #remains: Remains;
  #controller = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #job: Job;
  #wishes: Wishes;
  #isCancelled = false;
  #notedAtMs = -Infinity;
  #isNoted = true;
  #foreseenNote: string | null = null;
  #registryFailure: string | undefined;
  #isRetrying = false;
  #attempts: AsyncGenerator<AttemptEvent, void> | undefined;
  #dueAtMs = -Infinity;

  /** A job as it was kept: one that a stop or crash interrupted is queued again. */
  constructor({ force, now, asked_at_ms, layers, ...job }: KeptJob, deps: PullJobDeps, endings: Endings) {
    this.#deps = deps;
    this.#endings = endings;
    this.#wishes = { force, now, askedAtMs: asked_at_ms };
    this.#job = isEnded(job) ? job : { ...job, ...QUEUED };
    this.#tracker = new PullTracker(layers, job.started_at !== null);
    this.#progress = new JobProgress(job);
    this.#remains = new Remains(deps, this.#tracker);
    if (isEnded(job)) this.#ended.resolve();
  }

  get job(): Job {
    return this.#job;
  }

  /** A request for the model that arrives now is for another job. */
  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** When the last command that asked for it was sent, on the transport's clock; null if unknown. */
  get askedAtMs(): number | null {
    return this.#wishes.askedAtMs;
  }

  /** Whether it may run outside the box's windows. */
  get isNow(): boolean {
    return this.#wishes.now;
  }

  /** Of the layers that it has seen so far. */
  get digests(): readonly string[] {
    return this.#tracker.layers.map(({ digest }) => digest);
  }

  /** Whether its last attempt failed and the next has not received data yet; its note has the reason. */
  get isRetrying(): boolean {
    return this.#isRetrying;
  }

  /** When a queued job may run, by the monotonic clock: it waits until then after a failed attempt. */
  get dueAtMs(): number {
    return this.#dueAtMs;
  }

  /** Saves the job. Durable when it returns. @throws CourierError `exhausted` when it cannot be saved */
  keep(): void {
    this.#deps.ledger.keepJob(this.#job.id ?? "", JSON.stringify(this.#kept));
  }

  /** Another request joins. Durable when it returns. @throws CourierError as `keep()` */
  join(wishes: Wishes): void {
    const before = this.#wishes;
    this.#wishes = joined(before, wishes);
    if (!isSame(this.#wishes, before)) this.keep();
  }

  /** Shows what the preflight found. */
  foresee({ totalBytes, note, failure }: Foreseen): void {
    if (totalBytes !== null) this.#progress.expect(totalBytes);
    this.#job = { ...this.#job, total_bytes: this.#progress.fields.total_bytes, note };
    this.#foreseenNote = note;
    this.#registryFailure = failure;
  }

  /**
   * Runs a queued job until it ends, or until it has to wait: then it is queued again, and due at `dueAtMs`. Never rejects:
   * the job's state shows how it ended.
   * @param others other jobs that need disk space
   */
  async run(others: readonly Job[]): Promise<void> {
    const { clock } = this.#deps;
    this.#progress.begin(clock.monotonic());
    const started_at = this.#job.started_at ?? isoTime(clock.now());
    this.#update({ state: "running", phase: "manifest", started_at, ...NOT_WAITING }, "state");
    const over = new AbortController();
    void this.#tick(over.signal);
    try {
      const isDone = await this.#turn(others);
      over.abort();
      if (isDone) await this.#succeed();
    } catch (error) {
      over.abort();
      await this.#fail(asCourierError(error));
    }
  }

  /** @returns once it has ended, as cancelled unless it was done just before */
  async cancel(): Promise<Job> {
    if (!this.#isCancelled) {
      this.#isCancelled = true;
      this.#controller.abort();
      if (this.#job.state === "queued") this.#end(await this.#remains.endQueued(this.#hasBegun));
    }
    await this.#ended.promise;
    return this.#job;
  }

  /** Saves the job if that failed before. */
  noteMissed(): void {
    if (!this.#isNoted) this.#note(this.#deps.clock.monotonic());
  }

  /** Stops without ending it: the next run, or the next start of the agent, continues it with the data that Ollama kept. */
  stop(): void {
    this.#controller.abort();
  }

  /** In this process. */
  get #hasBegun(): boolean {
    return this.#attempts !== undefined || Number.isFinite(this.#dueAtMs);
  }

  /** @returns whether the pull is done; false: it waits, and gives up its slot */
  async #turn(others: readonly Job[]): Promise<boolean> {
    this.#attempts ??= await this.#begin(others);
    for (;;) {
      const { value: event, done } = await this.#attempts.next();
      if (done === true) return true;
      if (event.kind === "progress") this.#noteProgress(event.progress);
      else if (event.kind === "recovered") this.#noteRecovery();
      else if (event.kind === "retrying") this.#noteRetry(this.#known(event.reason));
      else if (await this.#waits(this.#known(event.reason), event.pauseMs)) return false;
    }
  }

  async #begin(others: readonly Job[]): Promise<AsyncGenerator<AttemptEvent, void>> {
    const { ollama, blobs, models, registries, hostNames, clock, log, limits } = this.#deps;
    const { id, model } = this.#job;
    // A job that was kept over a restart may be of another setting.
    registries.requireAllowed(model);
    log.info({ job: id, model }, "Pull started");
    this.foresee(await this.#look(others));
    this.#update(this.#progress.fields, "progress");
    const { signal } = this.#controller;
    return attempts({ ollama, blobs, models, hostNames, clock, model, tracker: this.#tracker, limits, signal });
  }

  /** Looks once more with force when a request that joined meanwhile wants that. */
  async #look(others: readonly Job[]): Promise<Foreseen> {
    const { signal } = this.#controller;
    const { preflight } = this.#deps;
    const { force } = this.#wishes;
    try {
      return await preflight.check(this.#job.model, { force, others, signal });
    } catch (error) {
      if (this.#wishes.force === force) throw error;
      return await preflight.check(this.#job.model, { force: true, others, signal });
    }
  }

  /** What the agent itself found, where Ollama gives a reason in words that are not shown. */
  #known(reason: string): string {
    if (this.#registryFailure === undefined) return reason;
    const { host } = parseModelName(this.#job.model);
    // Most texts name the host already.
    const found = reason.includes(`//${host}/`) ? this.#registryFailure.replace(`${host} `, "") : this.#registryFailure;
    return reason.replace("see Ollama's log", () => `${found}, see Ollama's log`);
  }

  #noteRecovery(): void {
    this.#isRetrying = false;
    this.#update({ note: this.#foreseenNote }, "progress");
  }

  #noteRetry(reason: string): void {
    this.#isRetrying = true;
    this.#update({ note: bounded(`retrying: ${reason}`), retries: (this.#job.retries ?? 0) + 1 }, "progress");
  }

  /** @returns whether it is queued again; false: the pause was short, and is over */
  async #waits(reason: string, pauseMs: number): Promise<boolean> {
    const { clock, log } = this.#deps;
    const { signal } = this.#controller;
    const { id, model, retries = 0 } = this.#job;
    const note = bounded(`retrying in ${durationText(pauseMs)}: ${reason}`);
    log.warn({ job: id, model, retries }, `Pull interrupted: ${note}`);
    if (signal.aborted) return false;
    this.#isRetrying = true;
    if (pauseMs <= KEEPS_SLOT_MS) {
      this.#update({ note }, "progress");
      await clock.sleep(pauseMs, signal);
      return false;
    }
    this.#dueAtMs = clock.monotonic() + pauseMs;
    const retry_at = isoTime(clock.now() + pauseMs);
    this.#update({ ...QUEUED, note, retry_at, waiting_for: bounded(`retrying: ${shortReason(reason)}`) }, "state");
    return true;
  }

  #noteProgress(progress: PullProgress): void {
    const nowMs = this.#deps.clock.monotonic();
    this.#progress.note(progress, nowMs);
    const { fields } = this.#progress;
    const isOver = this.#job.note === this.#noDataNote && this.#progress.idleMs(nowMs) === 0;
    const note = isOver ? { note: this.#foreseenNote } : {};
    this.#update({ ...fields, ...note }, fields.state === this.#job.state ? "progress" : "state");
  }

  get #noDataNote(): string {
    const waiting = `waiting for data from ${parseModelName(this.#job.model).host}`;
    return bounded(this.#foreseenNote === null ? waiting : `${waiting}; ${this.#foreseenNote}`);
  }

  /** The note that nothing arrives, unless another one shows the reason already. */
  #noteNoData(): Partial<Job> {
    const isWaiting = this.#job.state === "running" && !this.#isRetrying && this.#job.note === this.#foreseenNote;
    const idleMs = this.#progress.idleMs(this.#deps.clock.monotonic());
    return isWaiting && idleMs >= NO_DATA_MS ? { note: this.#noDataNote } : {};
  }

  /** The speed of a pull that stands still goes down, although no event arrives. */
  async #tick(over: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    for (;;) {
      await clock.sleep(TICK_MS, over);
      if (over.aborted) return;
      this.#progress.tick(clock.monotonic());
      const { bytes_per_second, eta_seconds } = this.#progress.fields;
      const change = { bytes_per_second, eta_seconds, ...this.#noteNoData() };
      if (Object.entries(change).some(([name, value]) => Reflect.get(this.#job, name) !== value))
        this.#update(change, "progress");
    }
  }

  async #succeed(): Promise<void> {
    const { monitor } = this.#deps;
    await monitor.refresh();
    const size = monitor.models?.find(({ name }) => sameModel(name, this.#job.model))?.size;
    // Small blobs, and blobs that were present already, may show no progress at all.
    const bytes = Math.max(this.#job.total_bytes ?? size ?? 0, this.#job.completed_bytes);
    this.#end({ state: "succeeded", completed_bytes: bytes, total_bytes: bytes });
  }

  async #fail({ code, message, hint }: CourierError): Promise<void> {
    if (this.#isCancelled) this.#end(await this.#remains.endStopped());
    else if (this.#controller.signal.aborted) this.#queueAgain();
    else {
      const error = hint === undefined ? message : `${message}. ${hint}`;
      this.#end({ state: "failed", code, error, partial_bytes: await this.#remains.bytes() });
    }
  }

  /** It was stopped. What it has on disk makes room scarce, as for one that waits to retry. */
  #queueAgain(): void {
    this.#controller = new AbortController();
    this.#attempts = undefined;
    this.#isRetrying = false;
    this.#dueAtMs = this.#deps.clock.monotonic();
    this.#update(QUEUED, "state");
  }

  #end(end: Partial<Job>): void {
    const { clock, log } = this.#deps;
    this.#endings.add(this);
    this.#update({ ...NOT_RUNNING, ...NOT_WAITING, ...end, ended_at: isoTime(clock.now()) }, "state");
    const { id, model, state, code, error } = this.#job;
    log.info({ job: id, model, ...(error === null ? {} : { code, error }) }, `Pull ${state}`);
    this.#ended.resolve();
  }

  #update(change: Partial<Job>, what: "state" | "progress"): void {
    this.#job = { ...this.#job, ...change };
    const nowMs = this.#deps.clock.monotonic();
    if (what === "state" || nowMs - this.#notedAtMs >= NOTE_EVERY_MS) this.#note(nowMs);
    this.#deps.changes.notify(what);
  }

  /** A job that cannot be saved runs and ends anyway: only a restart would not know of it. */
  #note(nowMs: number): void {
    this.#notedAtMs = nowMs;
    this.#isNoted = false;
    try {
      this.keep();
      this.#isNoted = true;
    } catch (error) {
      this.#deps.log.error({ job: this.#job.id, error }, "Cannot save the job");
    }
  }

  get #kept(): KeptJob {
    const { force, now, askedAtMs } = this.#wishes;
    return { ...this.#job, force, now, asked_at_ms: askedAtMs, layers: this.#tracker.layers };
  }
}

const NOT_RUNNING = { bytes_per_second: null, eta_seconds: null, phase: null, note: null } as const;
const NOT_WAITING = { retry_at: null, waiting_for: null } as const;
const QUEUED = { ...NOT_RUNNING, ...NOT_WAITING, state: "queued" } as const;
