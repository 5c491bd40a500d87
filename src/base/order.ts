// Order: of texts, for `toSorted()`, places in lists that are in order, and names in order in few words.

/** By code units, as `toSorted()` without an argument. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As people count: `gpu-2` before `gpu-10`. Names that differ only in leading zeros are in order of code units. */
export function compareNames(a: string, b: string): number {
  return BY_NUMBERS().compare(a, b) || compareTexts(a, b);
}

/** Not made at the start: in a browser the first one takes as long as drawing a page. */
const BY_NUMBERS = (() => {
  let made: Intl.Collator | undefined;
  return (): Intl.Collator => (made ??= new Intl.Collator("en", { numeric: true }));
})();

/** A text whose code units are in the order in which people count: `gpu-2` before `gpu-10`. For long lists: a collator is slow. */
export function countingKey(text: string): string {
  return text.toLowerCase().replaceAll(/\d+/g, (digits) => digits.padStart(KEY_DIGITS, "0"));
}

const KEY_DIGITS = 12;

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

/** `gpu-[1-3,7], rack-a`: runs of numbers in brackets, in order. */
export function rangesText(names: readonly string[]): string {
  const groups = new Map<string, string[]>();
  for (const name of names.toSorted(compareNames)) {
    const [, stem = name, number = ""] = /^(.*?)(\d*)$/s.exec(name) ?? [];
    // Without a number a name is a group of its own.
    const key = number === "" ? `${stem} ` : stem;
    groups.set(key, [...(groups.get(key) ?? []), number]);
  }
  return [...groups].map(([key, numbers]) => groupText(key.trimEnd(), numbers)).join(", ");
}

/** So many names are clear one by one. */
const FEW = 5;

/** In a sentence: a few as they are, many as `rangesText()`. */
export function namesText(names: readonly string[]): string {
  return names.length > FEW ? rangesText(names) : names.join(", ");
}

function groupText(stem: string, numbers: readonly string[]): string {
  const [only = ""] = numbers;
  if (numbers.length === 1) return stem + only;
  const runs: [first: string, last: string][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && follows(run[1], number)) run[1] = number;
    else runs.push([number, number]);
  }
  return `${stem}[${runs.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(",")}]`;
}

/** `09` and `10` are a run, `9` and `010` are not. */
function follows(last: string, next: string): boolean {
  const isPadded = last.startsWith("0") || next.startsWith("0");
  return last !== "" && Number(next) === Number(last) + 1 && (!isPadded || last.length === next.length);
}
