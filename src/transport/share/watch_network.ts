// Watching on a network file system: no event tells of other machines' changes, fresh listings do. Imports the clock.
import type { Clock } from "../../clock.ts";
import type { Rhythm } from "./rhythm.ts";

const IDLE_MS = 1_000;
const BUSY_MS = 50;
/** How long after something came or was expected the folder is listed often. */
const BUSY_FOR_MS = 10_000;

export class NetworkRhythm implements Rhythm {
  readonly #clock: Clock;
  #stirredAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#stirredAtMs = clock.monotonic();
  }

  prepare(): boolean {
    return false;
  }

  intervalMs(): number {
    return this.#clock.monotonic() - this.#stirredAtMs < BUSY_FOR_MS ? BUSY_MS : IDLE_MS;
  }

  stir(): void {
    this.#stirredAtMs = this.#clock.monotonic();
  }

  close(): void {}
}
