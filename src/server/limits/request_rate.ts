// How many requests a token may send: a token bucket for each, kept as one number.
import type { Clock } from "../../base/clock.ts";

/** Of a viewer, whose token is in every dashboard, and of anyone who is limited as one. `gp` is the platform's own backend. */
export const VIEWER_RATE = { perSecond: 20, burst: 50 } as const;

const INTERVAL_MS = 1_000 / VIEWER_RATE.perSecond;

/** The generic cell rate algorithm: a bucket is the moment at which it is full again. */
export class RequestRate {
  readonly #clock: Pick<Clock, "monotonic">;
  /** No entry: the bucket is full. */
  readonly #fullAtMs = new Map<string, number>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** How many buckets are not full. Those that are full again are removed when another is added. */
  get size(): number {
    return this.#fullAtMs.size;
  }

  /** Takes a request from the bucket of a token. @returns how many ms to wait first; 0: it may be served now */
  take(token: string): number {
    const nowMs = this.#clock.monotonic();
    const known = this.#fullAtMs.get(token);
    if (known === undefined) this.#removeFull(nowMs);
    const fullAtMs = Math.max(known ?? nowMs, nowMs) + INTERVAL_MS;
    const waitMs = fullAtMs - nowMs - VIEWER_RATE.burst * INTERVAL_MS;
    if (waitMs > 0) return waitMs;
    this.#fullAtMs.set(token, fullAtMs);
    return 0;
  }

  #removeFull(nowMs: number): void {
    for (const [token, fullAtMs] of this.#fullAtMs) if (fullAtMs <= nowMs) this.#fullAtMs.delete(token);
  }
}
