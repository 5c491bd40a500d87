// The order of texts, for `toSorted()`.

/** By code units, as `toSorted()` without an argument. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
