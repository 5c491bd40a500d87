// How far a pull is, as its job shows it: its bytes, its speed and the time that is left.
import type { Job } from "../../protocol.ts";
import type { PullProgress } from "../ollama/pull_tracker.ts";

/** The fields of a job that progress moves. */
export type ProgressFields = Pick<
  Job,
  "state" | "phase" | "completed_bytes" | "total_bytes" | "bytes_per_second" | "eta_seconds"
>;

/** A pull this slow is about to stall or to get faster: it has no estimate. */
const LONGEST_S = 30 * 86_400;

export class JobProgress {
  readonly #speed = new Speed();
  #phase: PullProgress["phase"] = "manifest";
  #completedBytes: number;
  #totalBytes: number | null;
  #receivedBytes = 0;
  #movedAtMs = -Infinity;

  /** Continues from what the job showed before a restart: it never shows less than that. */
  constructor({ completed_bytes, total_bytes }: Pick<Job, "completed_bytes" | "total_bytes">) {
    this.#completedBytes = completed_bytes;
    this.#totalBytes = total_bytes;
  }

  /** It starts, or goes on after a pause. */
  begin(atMs: number): void {
    this.#movedAtMs = atMs;
  }

  /** For how long nothing arrived. Whole layers need nothing more. */
  idleMs(atMs: number): number {
    return isWhole(this.#phase) ? 0 : atMs - this.#movedAtMs;
  }

  /** The whole model's size is known, from its manifest. */
  expect(totalBytes: number): void {
    this.#totalBytes = Math.max(this.#totalBytes ?? 0, totalBytes);
  }

  note({ phase, completedBytes, totalBytes, receivedBytes }: PullProgress, atMs: number): void {
    if (receivedBytes > this.#receivedBytes || isWhole(phase)) this.#movedAtMs = atMs;
    this.#phase = phase;
    this.#completedBytes = Math.max(this.#completedBytes, completedBytes);
    if (totalBytes !== null) this.expect(Math.max(totalBytes, this.#completedBytes));
    // Ollama verifies only what is complete, and reports no line for small layers.
    if (isWhole(phase) && this.#totalBytes !== null) this.#completedBytes = this.#totalBytes;
    this.#receivedBytes = receivedBytes;
    this.tick(atMs);
  }

  /** Time passes: the speed of a pull that stands still goes down. */
  tick(atMs: number): void {
    this.#speed.note(this.#receivedBytes, atMs);
  }

  get fields(): ProgressFields {
    const rate = isWhole(this.#phase) ? null : this.#speed.bytesPerSecond();
    const leftBytes = this.#totalBytes === null ? 0 : this.#totalBytes - this.#completedBytes;
    const seconds = rate && leftBytes > 0 ? Math.ceil(leftBytes / rate) : null;
    return {
      state: isWhole(this.#phase) ? "verifying" : "running",
      phase: this.#phase,
      completed_bytes: this.#completedBytes,
      total_bytes: this.#totalBytes,
      bytes_per_second: rate,
      eta_seconds: seconds !== null && seconds <= LONGEST_S ? seconds : null,
    };
  }
}

function isWhole(phase: PullProgress["phase"]): boolean {
  return phase === "verifying" || phase === "writing";
}

const WINDOW_MS = 5000;

/** How fast something grew over the last seconds. */
export class Speed {
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** @param atMs by a monotonic clock */
  note(bytes: number, atMs: number): void {
    this.#samples.push({ bytes, atMs });
    const oldest = this.#samples.findLastIndex((sample) => atMs - sample.atMs >= WINDOW_MS);
    if (oldest > 0) this.#samples = this.#samples.slice(oldest);
  }

  /** Bytes a second; null until there are two samples. */
  bytesPerSecond(): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
    return Math.max(0, Math.round(((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)));
  }
}
