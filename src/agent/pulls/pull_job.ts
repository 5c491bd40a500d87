// One pull as a job: from queued to its end, with what it shows on the way, noted so that the next process goes on with it.
// Imports the attempts at a pull, its progress, what lies on disk, ledger, protocol, clock, errors.
import { type Clock, isoTime } from "../../base/clock.ts";
import { asCourierError, type CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { sameModel } from "../../base/model_name.ts";
import { isEnded, type Job } from "../../protocol.ts";
import type { ModelsFolder } from "../disk/models_folder.ts";
import type { PulledBlobs, Stopped } from "../disk/pulled_blobs.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { OllamaMonitor } from "../ollama/monitor.ts";
import type { Ollama } from "../ollama/ollama.ts";
import { type PullProgress, PullTracker } from "../ollama/pull_tracker.ts";
import { PatientPull } from "./attempts.ts";
import { JobProgress } from "./job_progress.ts";
import type { KeptJob } from "./kept_job.ts";

/** What is known of a pull before its first byte. */
export interface Foreseen {
  /** Of the whole model; null: unknown. */
  readonly totalBytes: number | null;
  /** What is worth saying while it runs. */
  readonly note: string | null;
}

export interface PullJobParts {
  readonly ollama: Pick<Ollama, "pullModel" | "deleteModel">;
  readonly ledger: Pick<Ledger, "keepJob">;
  readonly blobs: Pick<PulledBlobs, "bytes" | "untilStopped" | "wrong">;
  readonly models: Pick<ModelsFolder, "missing">;
  readonly clock: Clock;
  readonly log: Log;
  /** How long a pull is tried without a new byte. */
  readonly patienceMs: number;
  /** A job began, ended or moved on; `progress` says that it only moved on. */
  readonly changes: { notify(what: "state" | "progress"): void };
  /** Called once for each job, right before it shows that it has ended. */
  readonly ended: (job: PullJob) => void;
  /**
   * Looks before the first byte; called each time that the agent begins with a pull, not for each attempt.
   * @throws CourierError when the pull is not to begin: the job fails with it
   */
  readonly foresee: (model: string, options: { force: boolean; signal: AbortSignal }) => Promise<Foreseen>;
  /** Lists the models again before a pull counts as succeeded. */
  readonly monitor: Pick<OllamaMonitor, "refresh" | "models">;
}

const TICK_MS = 1000;
/** A process that is killed knows at its next start how far a pull was at most so long before. */
const NOTE_EVERY_MS = 5000;
/** Where Ollama's folder cannot be read: it notices within half a second that its connection is closed. */
const UNSEEN_GRACE_MS = 1000;

export class PullJob {
  readonly #parts: PullJobParts;
  readonly #tracker: PullTracker;
  readonly #progress: JobProgress;
  readonly #controller = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #job: Job;
  #force: boolean;
  #isCancelled = false;
  #notedAtMs = -Infinity;
  #isNoted = true;
  #foreseenNote: string | null = null;

  /** A job as it was kept: one that a stop or crash interrupted is queued again. */
  constructor({ force, layers, ...job }: KeptJob, parts: PullJobParts) {
    this.#parts = parts;
    this.#force = force;
    this.#job = isEnded(job) ? job : { ...job, ...QUEUED };
    this.#tracker = new PullTracker(layers);
    this.#progress = new JobProgress(job);
    if (isEnded(job)) this.#ended.resolve();
  }

  get job(): Job {
    return this.#job;
  }

  /** Somebody wants it gone: who asks for the model now wants another job. */
  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Begins to be kept. Durable when it returns. @throws CourierError `exhausted` when it cannot be noted */
  keep(): void {
    this.#parts.ledger.keepJob(this.#job.id ?? "", JSON.stringify(this.#kept));
  }

  /** One who joins wants it also where the disk seems too small. Durable when it returns. @throws CourierError as `keep()` */
  allowForce(): void {
    this.#force = true;
    this.keep();
  }

  /** What it is known to come to, before it begins or as it does. */
  foresee({ totalBytes, note }: Foreseen): void {
    if (totalBytes !== null) this.#progress.expect(totalBytes);
    this.#job = { ...this.#job, total_bytes: this.#progress.fields.total_bytes, note };
    this.#foreseenNote = note;
  }

  /** Runs a queued job to its end. Never rejects: how it ended stands in the job. */
  async run(): Promise<void> {
    const { clock, log } = this.#parts;
    const { id, model, started_at } = this.#job;
    this.#update({ state: "running", phase: "manifest", started_at: started_at ?? isoTime(clock.now()) }, "state");
    log.info({ job: id, model }, "Pull started");
    const over = new AbortController();
    void this.#tick(over.signal);
    try {
      await this.#pull();
      over.abort();
      await this.#succeed();
    } catch (error) {
      over.abort();
      await this.#fail(asCourierError(error));
    }
  }

  /** @returns once it has ended, as cancelled unless it was done just before */
  async cancel(): Promise<Job> {
    this.#isCancelled = true;
    this.#controller.abort();
    if (this.#job.state === "queued") await this.#endQueued();
    await this.#ended.promise;
    return this.#job;
  }

  /** Notes what could not be noted when it came to be. */
  noteMissed(): void {
    if (!this.#isNoted) this.#note(this.#parts.clock.monotonic());
  }

  /** Stops without ending it: the next start goes on. */
  stop(): void {
    this.#controller.abort();
  }

  async #pull(): Promise<void> {
    const { ollama, blobs, models, clock, patienceMs } = this.#parts;
    const { signal } = this.#controller;
    const { model } = this.#job;
    this.foresee(await this.#look());
    this.#update(this.#progress.fields, "progress");
    await new PatientPull({
      ollama,
      blobs,
      models,
      clock,
      model,
      tracker: this.#tracker,
      patienceMs,
      signal,
      onProgress: (progress) => this.#noteProgress(progress),
      onPause: (text) => this.#notePause(text),
      onRetry: (text) => this.#update({ note: text, retries: (this.#job.retries ?? 0) + 1 }, "progress"),
      onRecovery: () => this.#update({ note: this.#foreseenNote }, "progress"),
    }).run();
  }

  /** Once more with force, when somebody who joined meanwhile wants it so. */
  async #look(): Promise<Foreseen> {
    const { signal } = this.#controller;
    const force = this.#force;
    try {
      return await this.#parts.foresee(this.#job.model, { force, signal });
    } catch (error) {
      if (this.#force === force) throw error;
      return await this.#parts.foresee(this.#job.model, { force: this.#force, signal });
    }
  }

  #noteProgress(progress: PullProgress): void {
    this.#progress.note(progress, this.#parts.clock.monotonic());
    const { fields } = this.#progress;
    this.#update(fields, fields.state === this.#job.state ? "progress" : "state");
  }

  #notePause(note: string): void {
    const { id, model, retries = 0 } = this.#job;
    this.#parts.log.warn({ job: id, model, retries }, `Pull interrupted: ${note}`);
    this.#update({ note }, "progress");
  }

  /** What stands still gets slower, though nothing tells so. */
  async #tick(over: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      await clock.sleep(TICK_MS, over);
      if (over.aborted) return;
      this.#progress.tick(clock.monotonic());
      const { bytes_per_second, eta_seconds } = this.#progress.fields;
      if (bytes_per_second === this.#job.bytes_per_second && eta_seconds === this.#job.eta_seconds) continue;
      this.#update({ bytes_per_second, eta_seconds }, "progress");
    }
  }

  async #succeed(): Promise<void> {
    const { monitor } = this.#parts;
    await monitor.refresh();
    const size = monitor.models?.find(({ name }) => sameModel(name, this.#job.model))?.size;
    // Small blobs, and those that are there already, may show no progress at all.
    const bytes = Math.max(this.#job.total_bytes ?? size ?? 0, this.#job.completed_bytes);
    this.#end({ state: "succeeded", completed_bytes: bytes, total_bytes: bytes });
  }

  async #fail({ code, message, hint }: CourierError): Promise<void> {
    if (this.#isCancelled) {
      const stopped = await this.#untilStopped();
      this.#end(await this.#cancelledEnd(CANCELLED[stopped]));
    } else if (this.#controller.signal.aborted) {
      this.#update(QUEUED, "state");
    } else {
      const error = hint === undefined ? message : `${message}. ${hint}`;
      this.#end({ state: "failed", code, error, partial_bytes: await this.#remainingBytes() });
    }
  }

  /** `cancelled` is said when Ollama was seen to have stopped. */
  async #untilStopped(): Promise<Stopped | "nothing"> {
    const { blobs, clock } = this.#parts;
    const digests = this.#fetchedDigests();
    if (digests.length === 0) return "nothing";
    const stopped = await blobs.untilStopped(digests);
    if (stopped === "unseen") await clock.sleep(UNSEEN_GRACE_MS);
    return stopped;
  }

  /** It may have run before a restart. */
  async #endQueued(): Promise<void> {
    const end = await this.#cancelledEnd("Cancelled before it began");
    // A slow disk: the queue may have come to it meanwhile, and run() ends it.
    if (this.#job.state !== "queued") return;
    const began = end.partial_bytes === null ? {} : { error: CANCELLED.stopped };
    this.#end({ ...end, ...began });
  }

  async #cancelledEnd(error: string): Promise<Partial<Job>> {
    return { state: "cancelled", code: "cancelled", error, partial_bytes: await this.#remainingBytes() };
  }

  async #remainingBytes(): Promise<number | null> {
    return await this.#parts.blobs.bytes(this.#fetchedDigests());
  }

  #fetchedDigests(): string[] {
    return this.#tracker.layers.filter(({ fetched }) => fetched).map(({ digest }) => digest);
  }

  #end(end: Partial<Job>): void {
    const { clock, log, ended } = this.#parts;
    ended(this);
    this.#update({ ...NOT_RUNNING, ...end, ended_at: isoTime(clock.now()) }, "state");
    const { id, model, state, code, error } = this.#job;
    log.info({ job: id, model, ...(error === null ? {} : { code, error }) }, `Pull ${state}`);
    this.#ended.resolve();
  }

  #update(change: Partial<Job>, what: "state" | "progress"): void {
    this.#job = { ...this.#job, ...change };
    const nowMs = this.#parts.clock.monotonic();
    if (what === "state" || nowMs - this.#notedAtMs >= NOTE_EVERY_MS) this.#note(nowMs);
    this.#parts.changes.notify(what);
  }

  /** A job goes on, and ends, also where it cannot be noted: until it can, only a restart would not know of it. */
  #note(nowMs: number): void {
    this.#notedAtMs = nowMs;
    this.#isNoted = false;
    try {
      this.keep();
      this.#isNoted = true;
    } catch (error) {
      this.#parts.log.error({ job: this.#job.id, error }, "Cannot note a job");
    }
  }

  get #kept(): KeptJob {
    return { ...this.#job, force: this.#force, layers: this.#tracker.layers };
  }
}

const NOT_RUNNING = { bytes_per_second: null, eta_seconds: null, phase: null, note: null } as const;
const QUEUED = { ...NOT_RUNNING, state: "queued" } as const;

/** What a cancelled job says, by what was seen of Ollama. */
const CANCELLED: Readonly<Record<Stopped | "nothing", string>> = {
  nothing: "Cancelled",
  stopped: "Cancelled: what was fetched remains on disk, and the next pull goes on from there",
  growing: "Cancelled, but Ollama goes on fetching it: does another program pull the same model?",
  unseen: "Cancelled: the connection is closed; nothing of it is seen in Ollama's folder, so what remains is unknown",
};
