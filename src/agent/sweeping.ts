// When the agent sweeps the transport, and how it gives way meanwhile. Imports the seam, clock, errors.
import type { Clock } from "../base/clock.ts";
import { asCourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { SweepScope, Transport } from "../transport.ts";

export interface SweepingOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  /** What is ours to sweep, asked before each round; null: nothing just now. */
  readonly scope: () => SweepScope | null;
}

/** Whatever a start has to do comes first. */
const FIRST_AFTER_MS = 10_000;
/** The youngest thing that may go is an hour old: sooner or later by this much does not matter. */
const EVERY_MS = 600_000;
/** The transport's clock is set, not adjusted, when it leaves ours by more between two sweeps. */
const CLOCK_SET_MS = 60_000;

/** Sweeps until the signal aborts: now and then, in rounds that leave the transport as much time as they take. */
export async function sweepAtTimes(options: SweepingOptions, signal: AbortSignal): Promise<void> {
  const { transport, clock } = options;
  const offset = (): number => transport.now() - clock.monotonic();
  const said = new Set<string>();
  let before = offset();
  await clock.sleep(FIRST_AFTER_MS, signal);
  while (!signal.aborted) {
    const now = offset();
    // By a clock that was just set, what came a moment ago may look an hour old: it is read by the next time.
    if (Math.abs(now - before) < CLOCK_SET_MS) await sweepThrough(options, said, signal);
    before = now;
    await clock.sleep(EVERY_MS, signal);
  }
}

/** Round after round until nothing is left to look at. @param said what went wrong and was told already */
async function sweepThrough(
  { transport, clock, log, scope }: SweepingOptions,
  said: Set<string>,
  signal: AbortSignal,
): Promise<void> {
  const sums: Record<string, number> = {};
  const begunMs = clock.monotonic();
  for (let more = true; more && !signal.aborted; ) {
    const wanted = scope();
    if (wanted === null) break;
    const startedMs = clock.monotonic();
    try {
      const swept = await transport.sweep(wanted);
      for (const [what, count] of Object.entries(swept.removed)) if (count > 0) sums[what] = (sums[what] ?? 0) + count;
      ({ more } = swept);
    } catch (error) {
      const { code, message, hint } = asCourierError(error);
      more = code !== "unavailable";
      // That the transport is away is told elsewhere.
      log[more && !said.has(message) ? "warn" : "debug"]({ reason: message, hint }, "Cannot sweep");
      said.add(message);
    }
    await clock.sleep(clock.monotonic() - startedMs, signal);
  }
  if (Object.keys(sums).length > 0) log.info({ ...sums, ms: Math.round(clock.monotonic() - begunMs) }, "Swept");
}
