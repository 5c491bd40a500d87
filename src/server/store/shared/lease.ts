// A lease that one of several servers holds: an entry in the bucket, which expires unless its holder renews it.
import type { Clock } from "../../../base/clock.ts";
import { asCourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Bucket } from "../../../transport/nats/calls/bucket.ts";

export interface LeaseDeps {
  readonly bucket: Pick<Bucket, "get" | "put" | "remove">;
  /** In the bucket. */
  readonly key: string;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  readonly log: Log;
}

/** The work has the margin to end. */
export const LEASE_TIMES = { ttlMs: 6_000, renewMs: 1_500, lookMs: 1_000, marginMs: 2_000 };

export class Lease {
  readonly #deps: LeaseDeps;
  readonly #times: typeof LEASE_TIMES;
  readonly #holder = crypto.randomUUID();
  /** Of its entry; null: another server holds it, or none. */
  #sequence: number | null = null;
  /** Until then nobody else can hold it, on the monotonic clock. */
  #untilMs = Number.NEGATIVE_INFINITY;

  constructor(deps: LeaseDeps, times = LEASE_TIMES) {
    this.#deps = deps;
    this.#times = times;
  }

  /** Whether this server holds it now. True for nobody else then, also if this process was stopped for a while. */
  get isHeld(): boolean {
    return this.#sequence !== null && this.#deps.clock.monotonic() < this.#untilMs;
  }

  /**
   * Does the work whenever this server holds the lease, until `stop` aborts; then gives it up.
   * @param work ends soon after its signal aborts: the lease is over, or `stop` aborted. Never rejects
   */
  async run(stop: AbortSignal, work: (held: AbortSignal) => Promise<void>): Promise<void> {
    const { clock } = this.#deps;
    while (!stop.aborted) {
      if (await this.#take()) await this.#hold(stop, work);
      else await clock.sleep(this.#times.lookMs, stop);
    }
  }

  async #hold(stop: AbortSignal, work: (held: AbortSignal) => Promise<void>): Promise<void> {
    const { clock } = this.#deps;
    const over = new AbortController();
    const working = work(AbortSignal.any([stop, over.signal]));
    while (!stop.aborted && this.isHeld) {
      const restMs = this.#untilMs - clock.monotonic();
      await clock.sleep(Math.min(this.#times.renewMs, restMs), stop);
      if (!stop.aborted && this.isHeld) await this.#take();
    }
    over.abort();
    await working;
    await this.#giveUp();
  }

  /** Takes it if it is free, or renews it. @returns whether this server holds it now */
  async #take(): Promise<boolean> {
    const { bucket, key, clock, log } = this.#deps;
    const { ttlMs, marginMs } = this.#times;
    try {
      const beganMs = clock.monotonic();
      const before = this.#sequence ?? (await this.#freeAt());
      if (before === null) return false;
      this.#sequence = await bucket.put(key, this.#holder, { ttlMs, ifSequence: before });
      // From before the request: the server counts from when it has it.
      if (this.#sequence !== null) this.#untilMs = beganMs + ttlMs - marginMs;
    } catch (error) {
      log.debug({ error: asCourierError(error) }, "Cannot renew the lease");
    }
    return this.isHeld;
  }

  /** @returns the sequence to replace; null: another server holds it */
  async #freeAt(): Promise<number | null> {
    const { bucket, key } = this.#deps;
    const found = await bucket.get(key);
    if (found === null || found.data === null) return found?.sequence ?? 0;
    // An answer to an earlier attempt was lost.
    return new TextDecoder().decode(found.data) === this.#holder ? found.sequence : null;
  }

  /** The next one need not wait for its end. */
  async #giveUp(): Promise<void> {
    const { bucket, key, log } = this.#deps;
    const sequence = this.#sequence;
    this.#sequence = null;
    try {
      if (sequence !== null) await bucket.remove(key, sequence);
    } catch (error) {
      log.debug({ error: asCourierError(error) }, "Cannot give up the lease");
    }
  }
}
