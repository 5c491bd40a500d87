// Figures as the tests print them, beside what they judge. Imports nothing.

/** One line, set off from the names of the tests. */
export function tell(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

export function describeTimes(timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (share: number): string => `${Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)} ms`;
  return `${sorted.length} answered, median ${at(0.5)}, p90 ${at(0.9)}, max ${at(1)}`;
}
