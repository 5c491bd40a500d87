// A bounded wait for a condition.

/** Resolves once `condition` holds; looks every 5 ms; throws when it does not within `limitMs`. */
export async function until(condition: () => boolean, limitMs = 5_000): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endsAt) throw new Error(`Not within ${limitMs} ms: ${condition.toString()}`);
    await Bun.sleep(5);
  }
}
