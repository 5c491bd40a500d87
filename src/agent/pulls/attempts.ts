// The attempts at one pull, as a stream of events: until it is done or cannot be, with progress saved on the way.
import type { Clock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { parseModelName } from "../../base/model_name.ts";
import type { ModelsFolder } from "../disk/models_folder.ts";
import type { PulledBlobs } from "../disk/pulled_blobs.ts";
import type { Ollama } from "../ollama/ollama.ts";
import { removedLayerFailure, wrongBytesFailure } from "../ollama/pull_failure.ts";
import type { PullProgress, PullTracker } from "../ollama/pull_tracker.ts";
import type { HostNames } from "./host_names.ts";
import { Speed } from "./job_progress.ts";
import { MISSING_HOST_TIMEOUT_MS, RetryBudget, type RetryLimits } from "./retry_budget.ts";

export interface PullLimits extends RetryLimits {
  /** How often the connection is closed so that Ollama saves its progress; 0: never. */
  readonly saveIntervalMs: number;
}

export interface AttemptsDeps {
  readonly ollama: Pick<Ollama, "pullModel" | "deleteModel">;
  readonly blobs: Pick<PulledBlobs, "wrong">;
  readonly models: Pick<ModelsFolder, "missing">;
  readonly hostNames: Pick<HostNames, "isMissing">;
  readonly clock: Clock;
  readonly model: string;
  readonly tracker: PullTracker;
  readonly limits: PullLimits;
  readonly signal: AbortSignal;
}

/**
 * - `waiting`: an attempt failed, and the reader waits `pauseMs` or longer before it asks for the next event
 * - `retrying`: the next attempt begins
 * - `recovered`: an attempt that follows a failed one has got further
 */
export type AttemptEvent =
  | { readonly kind: "progress"; readonly progress: PullProgress }
  | { readonly kind: "waiting"; readonly reason: string; readonly pauseMs: number }
  | { readonly kind: "retrying"; readonly reason: string }
  | { readonly kind: "recovered" };

const SAVED_PAUSE_MS = 250;
/** Ollama sees within half a second that a connection is closed. The rest is for data that arrives in bursts. */
const CLOSES_WITHIN_MS = 3000;

/**
 * Ends when Ollama reported success, and what it did not verify is present and correct as far as it can be read.
 * @throws CourierError `cancelled` when the signal aborts; at once what another attempt cannot fix; otherwise the last
 * failure, when the time of the pull is over
 */
export async function* attempts(deps: AttemptsDeps): AsyncGenerator<AttemptEvent, void> {
  const { clock, signal, limits, tracker } = deps;
  const budget = new RetryBudget(limits, clock.monotonic());
  const course = new Course(budget, tracker.progress.completedBytes);
  for (;;) {
    requireWanted(signal);
    const outcome = yield* attempt(deps, course);
    if (outcome === "done") return;
    if (outcome === "saved") await clock.sleep(SAVED_PAUSE_MS, signal);
    else yield* pauseAfter(outcome, deps, course);
  }
}

/** What one pull has reached over all of its attempts. */
class Course {
  readonly budget: RetryBudget;
  /** The most when progress was last saved: what was lost then, or is lost each time, is not worth another save. */
  savedBytes: number;
  hasTrouble = false;
  #bestBytes: number;

  constructor(budget: RetryBudget, bytes: number) {
    this.budget = budget;
    this.#bestBytes = bytes;
    this.savedBytes = bytes;
  }

  get newBytes(): number {
    return this.#bestBytes - this.savedBytes;
  }

  /** @returns whether the pull has just recovered from a failure */
  advance({ completedBytes, phase }: PullProgress, nowMs: number): boolean {
    const isNew = completedBytes > this.#bestBytes;
    if (isNew) {
      this.#bestBytes = completedBytes;
      this.budget.refill(nowMs);
    }
    const recovers = this.hasTrouble && (isNew || phase === "verifying" || phase === "writing");
    if (recovers) this.hasTrouble = false;
    return recovers;
  }

  save(): void {
    this.savedBytes = this.#bestBytes;
  }
}

async function* attempt(
  deps: AttemptsDeps,
  course: Course,
): AsyncGenerator<AttemptEvent, CourierError | "done" | "saved"> {
  const { clock, tracker, signal, limits } = deps;
  const closing = new AbortController();
  const connection = new Connection(clock.monotonic());
  let isSaving = false;
  try {
    for await (const progress of progressOf(deps, AbortSignal.any([signal, closing.signal]))) {
      const nowMs = clock.monotonic();
      if (course.advance(progress, nowMs)) yield { kind: "recovered" };
      yield { kind: "progress", progress };
      connection.note(progress, nowMs);
      if (isSaving || !connection.isWorthSaving(progress, tracker, course.newBytes, limits.saveIntervalMs)) continue;
      isSaving = true;
      course.save();
      closing.abort();
    }
    await verify(deps);
    return "done";
  } catch (error) {
    if (signal.aborted) throw error;
    return isSaving ? "saved" : asCourierError(error);
  } finally {
    closing.abort();
  }
}

/** Every progress of one attempt; ends when Ollama reported success. */
async function* progressOf(
  { ollama, model, tracker }: AttemptsDeps,
  signal: AbortSignal,
): AsyncGenerator<PullProgress> {
  const queue: PullProgress[] = [];
  let arrived = Promise.withResolvers<void>();
  let isOver = false;
  const onProgress = (progress: PullProgress): void => {
    queue.push(progress);
    arrived.resolve();
  };
  const pulling = ollama.pullModel(model, { signal, tracker, onProgress }).finally(() => {
    isOver = true;
    arrived.resolve();
  });
  pulling.catch(() => undefined);
  for (;;) {
    await arrived.promise;
    arrived = Promise.withResolvers<void>();
    yield* queue.splice(0);
    if (isOver && queue.length === 0) return await pulling;
    if (isOver || queue.length > 0) arrived.resolve();
  }
}

/**
 * Ollama verifies only what its last pull fetched. What an interrupted pull had finished is read here; when it is wrong, the
 * model is deleted, which is how Ollama forgets a blob. And a layer that was present when the pull began can be removed by
 * the delete of another model that shares it: Ollama knows by manifests which layers are needed, and this one's comes last.
 */
async function verify({ ollama, blobs, models, model, tracker, signal }: AttemptsDeps): Promise<void> {
  const [missing] = await models.missing(model);
  if (missing !== undefined) throw removedLayerFailure(model, missing);
  const [wrong] = await blobs.wrong(tracker.unverified, signal);
  requireWanted(signal);
  if (wrong === undefined) return;
  await ollama.deleteModel(model);
  throw wrongBytesFailure(model, wrong);
}

async function* pauseAfter(
  failure: CourierError,
  deps: AttemptsDeps,
  course: Course,
): AsyncGenerator<AttemptEvent, void> {
  const { clock, signal, tracker, hostNames, model } = deps;
  const { budget } = course;
  const hasManifest = tracker.layers.length > 0;
  const mayBeTypo = !hasManifest && budget.idleMs(clock.monotonic()) >= MISSING_HOST_TIMEOUT_MS;
  const isHostMissing = mayBeTypo && (await hostNames.isMissing(parseModelName(model).host));
  const beganAtMs = clock.monotonic();
  const { pauseMs, why } = budget.nextPause(failure, { nowMs: beganAtMs, hasManifest, isHostMissing });
  if (why === "dying") {
    await clock.sleep(pauseMs, signal);
    return;
  }
  course.hasTrouble = true;
  const reason = reasonOf(failure);
  yield { kind: "waiting", reason, pauseMs };
  requireWanted(signal);
  budget.excuse(clock.monotonic() - beganAtMs - pauseMs);
  yield { kind: "retrying", reason };
}

/**
 * Ollama saves how far a layer is only when the connection closes: killed at 30 GB, it starts at 0. So the connection is
 * closed and opened again now and then, at the cost of half a second.
 */
class Connection {
  readonly #openedAtMs: number;
  readonly #speed = new Speed();
  #ageMs = 0;

  constructor(nowMs: number) {
    this.#openedAtMs = nowMs;
  }

  note({ receivedBytes }: PullProgress, nowMs: number): void {
    this.#ageMs = nowMs - this.#openedAtMs;
    this.#speed.note(receivedBytes, nowMs);
  }

  /**
   * Never shortly before a layer is complete: Ollama does not verify one that completes while its connection closes. And not
   * before half of what could be saved is new: an Ollama that loses data at each close would otherwise never get further.
   */
  isWorthSaving(
    { phase }: PullProgress,
    tracker: Pick<PullTracker, "unsaved">,
    newBytes: number,
    intervalMs: number,
  ): boolean {
    if (intervalMs === 0 || this.#ageMs < intervalMs) return false;
    const { bytes, leftBytes } = tracker.unsaved;
    if (phase !== "downloading" || bytes === 0 || newBytes < bytes / 2) return false;
    const bytesPerSecond = Math.max((bytes / this.#ageMs) * 1000, this.#speed.bytesPerSecond() ?? 0);
    return leftBytes >= (bytesPerSecond * CLOSES_WITHIN_MS) / 1000;
  }
}

function requireWanted(signal: AbortSignal): void {
  if (signal.aborted) throw new CourierError("cancelled", "Cancelled");
}

/** Without what the job shows already: that the pull of this model failed. */
function reasonOf({ message }: CourierError): string {
  return message.replace(/^Cannot pull "[^"]*": /, "");
}
