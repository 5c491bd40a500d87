// A clock that runs faster than time, for what waits seconds beside a real connection.
import { type Clock, systemClock } from "#src/base/clock.ts";

/** @param factor how many of its milliseconds pass in a real one */
export function hurriedClock(factor: number): Clock {
  return {
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic() * factor,
    sleep: async (durationMs, signal) => await systemClock.sleep(durationMs / factor, signal),
  };
}
