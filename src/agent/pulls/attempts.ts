// One pull until it is done or cannot be: attempts with growing pauses between them, and progress saved on the way.
// Imports the Ollama module and what its failures mean, what lies on disk, format, clock, errors.
import type { Clock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { formatDuration } from "../../base/format.ts";
import type { ModelsFolder } from "../disk/models_folder.ts";
import type { PulledBlobs } from "../disk/pulled_blobs.ts";
import type { Ollama } from "../ollama/ollama.ts";
import { removedLayerFailure, retryOf, wrongBytesFailure } from "../ollama/pull_failure.ts";
import type { PullProgress, PullTracker } from "../ollama/pull_tracker.ts";

export interface PatientPullOptions {
  readonly ollama: Pick<Ollama, "pullModel" | "deleteModel">;
  readonly blobs: Pick<PulledBlobs, "wrong">;
  readonly models: Pick<ModelsFolder, "missing">;
  readonly clock: Clock;
  readonly model: string;
  readonly tracker: PullTracker;
  /** How long it is tried without a new byte. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: PullProgress) => void;
  /** It failed and waits. @param note why and how long, for people */
  readonly onPause: (note: string) => void;
  /** It is tried again after a pause. @param note why, for people */
  readonly onRetry: (note: string) => void;
  /** What a failure left to say is over. */
  readonly onRecovery: () => void;
}

const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;
/** A download that was just cancelled dies within a second, or, when it waits to try a part again, within 32 s. */
const DYING_PAUSE_MS = 500;
const DYING_MS = 45_000;
/** Failures that nobody knows may pass; a new fault should not be tried for a day. */
const UNKNOWN_ATTEMPTS = 4;
/**
 * Ollama notes how far a layer is only when the connection closes: killed at 30 GB, it begins at 0. So the connection is
 * closed and opened again for each such share of the model, at the cost of half a second. And what it noted an hour before
 * its start it throws away.
 */
const SAVE_SHARE = 0.06;
const SAVE_AFTER_MS = 1000;
const SAVE_BY_MS = 20 * 60_000;
const SAVED_PAUSE_MS = 250;
/** Ollama sees within half a second that a connection is closed; with room for what comes in bursts. */
const CLOSES_WITHIN_MS = 3000;

export class PatientPull {
  readonly #options: PatientPullOptions;
  #bestBytes: number;
  /** The most when progress was last saved: what was lost there, or is lost each time, is not worth another one. */
  #savedBytes: number;
  #cameOnAtMs: number;
  #failures = 0;
  #mismatches = 0;
  #unknown = 0;
  #hasTrouble = false;

  constructor(options: PatientPullOptions) {
    this.#options = options;
    this.#bestBytes = options.tracker.progress.completedBytes;
    this.#savedBytes = this.#bestBytes;
    this.#cameOnAtMs = options.clock.monotonic();
  }

  /**
   * Resolves when Ollama reported success, and what it did not verify is there and right as far as it can be read.
   * @throws CourierError `cancelled` when the signal aborts; what cannot be fixed by trying again, at once; otherwise the
   * last failure, when its time is over
   */
  async run(): Promise<void> {
    const { clock, signal } = this.#options;
    for (;;) {
      if (signal.aborted) throw new CourierError("cancelled", "Cancelled");
      const outcome = await this.#attempt();
      if (outcome === "done") return;
      if (outcome === "saved") await clock.sleep(SAVED_PAUSE_MS, signal);
      else await this.#pauseAfter(outcome);
    }
  }

  async #attempt(): Promise<CourierError | "done" | "saved"> {
    const { ollama, clock, model, tracker, signal } = this.#options;
    const saving = new AbortController();
    const beganAtMs = clock.monotonic();
    try {
      await ollama.pullModel(model, {
        signal: AbortSignal.any([signal, saving.signal]),
        tracker,
        onProgress: (progress) => {
          this.#note(progress);
          const newBytes = this.#bestBytes - this.#savedBytes;
          if (!isWorthSaving(progress, { ...tracker.unsaved, newBytes }, clock.monotonic() - beganAtMs)) return;
          this.#savedBytes = this.#bestBytes;
          saving.abort();
        },
      });
      await this.#verify();
      return "done";
    } catch (error) {
      if (signal.aborted) throw error;
      return saving.signal.aborted ? "saved" : asCourierError(error);
    }
  }

  /**
   * Ollama verifies what its last pull fetched. What an interrupted one had finished is read here; when it is wrong, the
   * model is deleted, which is how Ollama forgets a blob. And a layer that was there when the pull began is taken away by
   * the delete of another model that shares it: Ollama knows by manifests who needs what, and this one comes last.
   */
  async #verify(): Promise<void> {
    const { ollama, blobs, models, model, tracker, signal } = this.#options;
    const [missing] = await models.missing(model);
    if (missing !== undefined) throw removedLayerFailure(model, missing);
    const [wrong] = await blobs.wrong(tracker.unverified, signal);
    if (signal.aborted) throw new CourierError("cancelled", "Cancelled");
    if (wrong === undefined) return;
    await ollama.deleteModel(model);
    throw wrongBytesFailure(model, wrong);
  }

  #note(progress: PullProgress): void {
    const isNew = progress.completedBytes > this.#bestBytes;
    if (isNew) {
      this.#bestBytes = progress.completedBytes;
      this.#cameOnAtMs = this.#options.clock.monotonic();
      this.#failures = 0;
      this.#unknown = 0;
    }
    if (this.#hasTrouble && (isNew || progress.phase === "verifying")) {
      this.#hasTrouble = false;
      this.#options.onRecovery();
    }
    this.#options.onProgress(progress);
  }

  /** Waits before the next attempt. @throws CourierError when there is none to be made */
  async #pauseAfter(failure: CourierError): Promise<void> {
    const { clock, signal, patienceMs, onPause, onRetry } = this.#options;
    const idleMs = clock.monotonic() - this.#cameOnAtMs;
    const retry = retryOf(failure);
    if (retry === "never") throw failure;
    if (retry === "once" && ++this.#mismatches > 1) throw reworded(failure, "for the second time");
    if (retry === "perhaps" && ++this.#unknown >= UNKNOWN_ATTEMPTS) throw failure;
    if (idleMs >= patienceMs) throw reworded(failure, `given up after ${durationText(patienceMs)} without a new byte`);
    if (retry === "soon" && idleMs < DYING_MS) {
      await clock.sleep(DYING_PAUSE_MS, signal);
      return;
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, MAX_PAUSE_MS, patienceMs - idleMs);
    this.#failures += 1;
    this.#hasTrouble = true;
    onPause(`waiting ${durationText(pauseMs)} after: ${reasonOf(failure)}`);
    await clock.sleep(pauseMs, signal);
    if (!signal.aborted) onRetry(`trying again after: ${reasonOf(failure)}`);
  }
}

/** Never shortly before a layer is whole: one that gets whole while its connection closes is believed, not verified. */
function isWorthSaving(
  { phase, totalBytes }: PullProgress,
  { bytes, leftBytes, newBytes }: PullTracker["unsaved"] & { readonly newBytes: number },
  ageMs: number,
): boolean {
  const unsavedBytes = Math.min(bytes, newBytes);
  if (phase !== "downloading" || totalBytes === null || unsavedBytes === 0 || ageMs < SAVE_AFTER_MS) return false;
  const share = totalBytes * SAVE_SHARE;
  if (leftBytes < Math.max(share, (bytes / ageMs) * CLOSES_WITHIN_MS)) return false;
  return unsavedBytes >= share || ageMs >= SAVE_BY_MS;
}

function reworded({ code, message, hint, cause }: CourierError, addition: string): CourierError {
  return new CourierError(code, `${message}, ${addition}`, { hint, cause });
}

/** Without what the job says already: that it is the pull of this model that failed. */
function reasonOf({ message }: CourierError): string {
  return message.replace(/^Cannot pull "[^"]*": /, "");
}

function durationText(ms: number): string {
  return formatDuration(Math.ceil(ms / 1000));
}
