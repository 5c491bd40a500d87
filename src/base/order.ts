// Order: of texts, for `toSorted()`, and places in lists that are in order.

/** By code units, as `toSorted()` without an argument. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As people count: `gpu-2` before `gpu-10`. Names that differ only in leading zeros are in order of code units. */
export function compareNames(a: string, b: string): number {
  return BY_NUMBERS.compare(a, b) || compareTexts(a, b);
}

const BY_NUMBERS = new Intl.Collator("en", { numeric: true });

/** The index of the first item of a list in order that is not before a place. */
export function firstNotBefore<Item>(items: readonly Item[], isBefore: (item: Item) => boolean): number {
  let [from, to] = [0, items.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const item = items[middle];
    if (item !== undefined && isBefore(item)) from = middle + 1;
    else to = middle;
  }
  return from;
}
