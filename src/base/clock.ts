// Time as an argument: code that reads the time or waits takes a `Clock`.

export interface Clock {
  /** This machine's wall clock, in ms since 1970; it may jump. Never compare it with another machine's. */
  now(): number;
  /** Ms since an arbitrary moment; never jumps. For durations. */
  monotonic(): number;
  /**
   * Resolves after `durationMs`, or at once when `signal` aborts: check the signal afterwards. A duration of 0 or less
   * ends at the next turn of the event loop. Never rejects.
   */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (durationMs, signal) => {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, Math.max(0, durationMs));
      signal?.addEventListener("abort", end);
    });
  },
};

/** Waits for `work`, at most `limitMs`. @returns its value, or `late`; rejects as `work` does in that time */
export async function within<Value, Late>(
  clock: Pick<Clock, "sleep">,
  limitMs: number,
  work: Promise<Value>,
  late: Late,
): Promise<Value | Late> {
  const timer = new AbortController();
  try {
    return await Promise.race([work, clock.sleep(limitMs, timer.signal).then(() => late)]);
  } finally {
    timer.abort();
  }
}

/** A clock that is off by more is reported. */
export const CLOCK_OFF_MS = 5_000;

/** An instant in ms as ISO 8601 in UTC: `2026-01-02T03:04:05.678Z`. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** The instant of a time in ISO 8601, in ms since 1970; 0 when the text is no time. */
export function instantMs(text: string): number {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? 0 : ms;
}
