// How far a pull is, as its job shows it: what its lines add up to, how fast it goes, when it will be done.
// Imports the sum of a pull's lines, speed, protocol.
import type { Job } from "../../protocol.ts";
import type { PullProgress } from "../ollama/pull_tracker.ts";
import { Speed } from "./speed.ts";

/** The fields of a job that progress moves. */
export type ProgressFields = Pick<
  Job,
  "state" | "phase" | "completed_bytes" | "total_bytes" | "bytes_per_second" | "eta_seconds"
>;

/** What comes so slowly is about to stall or to get faster: no time can be told. */
const LONGEST_S = 30 * 86_400;

export class JobProgress {
  readonly #speed = new Speed();
  #phase: PullProgress["phase"] = "manifest";
  #completedBytes: number;
  #totalBytes: number | null;
  #receivedBytes = 0;

  /** Goes on from what the job showed before a restart: nothing that was shown is taken back. */
  constructor({ completed_bytes, total_bytes }: Pick<Job, "completed_bytes" | "total_bytes">) {
    this.#completedBytes = completed_bytes;
    this.#totalBytes = total_bytes;
  }

  /** The whole model's size is known, from its manifest. */
  expect(totalBytes: number): void {
    this.#totalBytes = Math.max(this.#totalBytes ?? 0, totalBytes);
  }

  note({ phase, completedBytes, totalBytes, receivedBytes }: PullProgress, atMs: number): void {
    this.#phase = phase;
    this.#completedBytes = Math.max(this.#completedBytes, completedBytes);
    if (totalBytes !== null) this.expect(Math.max(totalBytes, this.#completedBytes));
    // Verified is only what is whole; small layers come without a line of their own.
    if (isWhole(phase) && this.#totalBytes !== null) this.#completedBytes = this.#totalBytes;
    this.#receivedBytes = receivedBytes;
    this.tick(atMs);
  }

  /** Time passes: what does not come on gets slower. */
  tick(atMs: number): void {
    this.#speed.note(this.#receivedBytes, atMs);
  }

  get completedBytes(): number {
    return this.#completedBytes;
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
