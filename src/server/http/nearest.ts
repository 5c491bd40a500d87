// The known name that somebody may have meant.

/** At most so many characters are wrong, missing or too many. */
const MOST_WRONG = 2;
/** A longer one is no mistyped name. */
const MOST_CHARACTERS = 40;

/** Undefined: none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > MOST_CHARACTERS) return undefined;
  const ranked = known.map((other) => ({ other, wrong: distance(name.toLowerCase(), other.toLowerCase()) }));
  const [best] = ranked.toSorted((a, b) => a.wrong - b.wrong);
  if (best === undefined || best.wrong > MOST_WRONG || best.wrong >= best.other.length) return undefined;
  return best.other;
}

/** How many characters must be put in, taken out or replaced (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let index = 0; index < a.length; index++) {
    const next = [index + 1];
    for (let at = 0; at < b.length; at++) {
      const [diagonal = 0, above = 0, left = 0] = [row[at], row[at + 1], next[at]];
      next.push(Math.min(above + 1, left + 1, diagonal + (a[index] === b[at] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
