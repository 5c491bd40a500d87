// Sweeps the transport now and then, in rounds that let other calls pass.
import type { Clock } from "../base/clock.ts";
import { asCourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { SweepScope, Transport } from "../transport.ts";

export interface SweepingDeps {
  readonly transport: Pick<Transport, "now" | "sweep">;
  /** Read before each round; null: nothing may be swept now. */
  readonly condition: { readonly sweepScope: SweepScope | null };
  readonly clock: Clock;
  readonly log: Log;
}

/** The work of a start comes first. */
const FIRST_AFTER_MS = 10_000;
/** The youngest thing that a sweep may remove is an hour old, so that 10 min sooner or later do not matter. */
const EVERY_MS = 600_000;
/** A transport's clock that moves away from this machine's by more between two sweeps was set, not adjusted. */
const CLOCK_SET_MS = 60_000;

export class Sweeping {
  readonly #deps: SweepingDeps;
  /** Failures that were logged already. */
  readonly #logged = new Set<string>();

  constructor(deps: SweepingDeps) {
    this.#deps = deps;
  }

  /** Sweeps every 10 min until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { transport, clock } = this.#deps;
    const offset = (): number => transport.now() - clock.monotonic();
    let before = offset();
    await clock.sleep(FIRST_AFTER_MS, signal);
    while (!signal.aborted) {
      const now = offset();
      // By a clock that was just set, a new file may look an hour old. Its reader has read it by the next sweep.
      if (Math.abs(now - before) < CLOCK_SET_MS) await this.#sweepThrough(signal);
      before = now;
      await clock.sleep(EVERY_MS, signal);
    }
  }

  /** Round after round, with pauses as long as the rounds, until nothing is left to look at. */
  async #sweepThrough(signal: AbortSignal): Promise<void> {
    const { condition, clock, log } = this.#deps;
    const sums: Record<string, number> = {};
    const begunMs = clock.monotonic();
    for (let more = true; more && !signal.aborted; ) {
      const scope = condition.sweepScope;
      if (scope === null) break;
      const startedMs = clock.monotonic();
      more = await this.#sweepOnce(scope, sums);
      await clock.sleep(clock.monotonic() - startedMs, signal);
    }
    if (Object.keys(sums).length > 0) log.info({ ...sums, ms: Math.round(clock.monotonic() - begunMs) }, "Swept");
  }

  /** @returns whether the sweep is not complete */
  async #sweepOnce(scope: SweepScope, sums: Record<string, number>): Promise<boolean> {
    const { transport, log } = this.#deps;
    try {
      const { removed, more } = await transport.sweep(scope);
      for (const [what, count] of Object.entries(removed)) if (count > 0) sums[what] = (sums[what] ?? 0) + count;
      return more;
    } catch (error) {
      const { code, message, hint } = asCourierError(error);
      // An outage is logged elsewhere.
      const isOutage = code === "unavailable";
      log[isOutage || this.#logged.has(message) ? "debug" : "warn"]({ reason: message, hint }, "Cannot sweep");
      this.#logged.add(message);
      return !isOutage;
    }
  }
}
