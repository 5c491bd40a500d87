// Time for what waits on a manual clock while real files are read in between. Imports the clock and the bounded wait.
import type { ManualClock } from "./manual_clock.ts";
import { until } from "./until.ts";

/** Lets time pass, a step each time it looks, until the condition holds. */
export async function passes(clock: ManualClock, stepMs: number, condition: () => boolean): Promise<void> {
  await until(() => {
    if (!condition()) void clock.advance(stepMs);
    return condition();
  });
}
