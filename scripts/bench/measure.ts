// Times anything that sends a request and awaits its answer.

/** Sends one request; resolves when its answer is there. */
export type Send = () => Promise<unknown>;

/** One after the other. @returns how long each took, in ms */
export async function roundTrips(send: Send, count: number): Promise<number[]> {
  const durations: number[] = [];
  for (let sent = 0; sent < count; sent++) {
    const startedMs = performance.now();
    await send();
    durations.push(performance.now() - startedMs);
  }
  return durations;
}

/**
 * One each `everyMs`, whether the one before was answered or not: what waits behind a pause counts too.
 * @returns how long each took from when it was due, in ms
 */
export async function pacedTrips(send: Send, count: number, everyMs: number): Promise<number[]> {
  const startedMs = performance.now();
  const trip = async (dueMs: number): Promise<number> => {
    await send();
    return performance.now() - dueMs;
  };
  const trips: Promise<number>[] = [];
  for (let sent = 0; sent < count; sent++) {
    const dueMs = startedMs + sent * everyMs;
    while (performance.now() < dueMs) await Bun.sleep(Math.max(0, dueMs - performance.now()));
    trips.push(trip(dueMs));
  }
  return await Promise.all(trips);
}

/** Pipelined: `window` under way at any time. @returns answers per second */
export async function throughput(send: Send, count: number, window: number): Promise<number> {
  let sent = 0;
  const lane = async (): Promise<void> => {
    while (sent < count) {
      sent++;
      await send();
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: window }, lane));
  return count / ((performance.now() - startedMs) / 1000);
}

/** @param share 0.5 is the median */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}
