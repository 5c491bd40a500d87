// How long something took.

/** @returns what it resolved to, and how long it took */
export async function timed<Value>(work: () => Promise<Value>): Promise<{ result: Value; durationMs: number }> {
  const startedMs = performance.now();
  const result = await work();
  return { result, durationMs: performance.now() - startedMs };
}
