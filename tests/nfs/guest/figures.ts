// Figures as the tests print them, beside what they judge.

/** One line, set off from the names of the tests. */
export function report(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

/** The smallest value that so great a share of the values does not exceed. @param share from 0 to 1 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function describeTimes(timesMs: readonly number[]): string {
  const at = (share: number): string => `${Math.round(quantile(timesMs, share))} ms`;
  return `${timesMs.length} answered, median ${at(0.5)}, p90 ${at(0.9)}, max ${at(1)}`;
}
