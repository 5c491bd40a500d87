// Time for what waits on a manual clock while real files are read in between.
import type { ManualClock } from "./manual_clock.ts";

/**
 * Lets time pass, one step after the other, until the condition holds; throws when it does not within `limitMs` of real time.
 * A call that the disk takes long for takes up the clock's time too: where that would count as a hang, give the driver
 * calls that are done at once, `localPrimitives`.
 */
export async function passes(
  clock: ManualClock,
  stepMs: number,
  condition: () => boolean,
  limitMs = 5_000,
): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endsAt) throw new Error(`Not within ${limitMs} ms: ${condition.toString()}`);
    await clock.advance(stepMs);
    await Bun.sleep(5);
  }
}
