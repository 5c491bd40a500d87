// A bounded wait for a condition.

/** Far more than anything takes on an idle machine: a busy one stretches a second to ten. */
const LIMIT_MS = 30_000;

/** Resolves once `condition` holds; checks every 5 ms; throws when it does not within `limitMs`. */
export async function until(condition: () => boolean | Promise<boolean>, limitMs = LIMIT_MS): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endsAt) throw new Error(`Not within ${limitMs} ms: ${condition.toString()}`);
    await Bun.sleep(5);
  }
}
