// The server's clock, which every process shares: learned from the time of an entry that this process has just stored.
import type { Clock } from "../../../base/clock.ts";
import { KEYS } from "../layout.ts";
import type { Bucket } from "./bucket.ts";

const SAMPLES = 2;
const SAMPLE_TTL_MS = 60_000;
/** Two quartz clocks drift apart by up to 60 ms in this time. */
const LEARN_AGAIN_MS = 600_000;
/** This machine's two clocks part so far when it was suspended, or its time was set: monotonic time stands still meanwhile. */
const PARTED_MS = 1_000;

export class ServerClock {
  readonly #clock: Clock;
  readonly #states: Bucket;
  readonly #token: string;
  /** The server's time less this process's monotonic clock. */
  #offsetMs: number | undefined;
  #learnedAtMs = -Infinity;
  /** This machine's time less its monotonic clock when it learned. */
  #wallOffsetMs = 0;
  #learning: Promise<void> | undefined;

  /** @param token under which it stores: its own, so that two processes do not disturb each other */
  constructor(clock: Clock, states: Bucket, token: string) {
    this.#clock = clock;
    this.#states = states;
    this.#token = token;
  }

  /** By this machine's clock until it has learned. */
  now(): number {
    return this.#offsetMs === undefined ? this.#clock.now() : this.#clock.monotonic() + this.#offsetMs;
  }

  get isDue(): boolean {
    const nowMs = this.#clock.monotonic();
    const partedMs = Math.abs(this.#clock.now() - nowMs - this.#wallOffsetMs);
    return nowMs - this.#learnedAtMs > LEARN_AGAIN_MS || partedMs > PARTED_MS;
  }

  /** @throws CourierError as the bucket */
  async learn(): Promise<void> {
    this.#learning ??= this.#learnNow().finally(() => {
      this.#learning = undefined;
    });
    await this.#learning;
  }

  /** The fastest round trip has the smallest error. */
  async #learnNow(): Promise<void> {
    let best: { readonly offsetMs: number; readonly tookMs: number } | undefined;
    for (let sample = 0; sample < SAMPLES; sample++) {
      const beganAtMs = this.#clock.monotonic();
      const sequence = await this.#states.put(KEYS.clock(this.#token), "", { ttlMs: SAMPLE_TTL_MS });
      const endedAtMs = this.#clock.monotonic();
      const entry = await this.#states.get(KEYS.clock(this.#token));
      const tookMs = endedAtMs - beganAtMs;
      // With several servers the one that answers may be behind, and has the sample before.
      if (entry === null || entry.sequence !== sequence) continue;
      if (best !== undefined && best.tookMs <= tookMs) continue;
      best = { offsetMs: entry.atMs - (beganAtMs + endedAtMs) / 2, tookMs };
    }
    if (best === undefined) return;
    this.#offsetMs = best.offsetMs;
    this.#learnedAtMs = this.#clock.monotonic();
    this.#wallOffsetMs = this.#clock.now() - this.#learnedAtMs;
  }
}
