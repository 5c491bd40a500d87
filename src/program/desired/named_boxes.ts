// The boxes that a person names in a text: names, patterns and ranges.
import { AgentName } from "../../protocol.ts";

/** As many as one text, or one command line, may name. */
export const MOST_NAMED = 10_000;

const PATTERN = /^(?=.*[*?])[a-z0-9*?-]{1,63}$/;
/** No name has more digits. */
const NUMBERS = /^(\d{1,15})(?:-(\d{1,15}))?$/;

/**
 * What a person typed to name agents: names, patterns with `*` and `?`, and ranges as `rangesText()` writes them, separated
 * by commas.
 * @returns names and patterns; undefined: no such text, or of more than `MOST_NAMED`
 */
export function namedIn(text: string): readonly string[] | undefined {
  const named: string[] = [];
  // A comma in brackets belongs to a range.
  for (const word of text.split(/,(?![^[]*\])/).map((each) => each.trim())) {
    if (word === "") continue;
    const names = expandRange(word, MOST_NAMED - named.length);
    if (names?.every((name) => AgentName.safeParse(name).success || PATTERN.test(name)) !== true) return undefined;
    named.push(...names);
  }
  return named;
}

/** @returns undefined: no range, or of more than `most` names */
function expandRange(word: string, most: number): string[] | undefined {
  const [, stem = "", list, rest = ""] = /^([^[\]]*)\[([^[\]]*)\]([^[\]]*)$/.exec(word) ?? [];
  if (list === undefined) return most < 1 ? undefined : [word];
  const names: string[] = [];
  for (const run of list.split(",")) {
    const [, first, last = first] = NUMBERS.exec(run.trim()) ?? [];
    if (first === undefined || last === undefined || Number(last) < Number(first)) return undefined;
    if (names.length + Number(last) - Number(first) >= most) return undefined;
    for (let number = Number(first); number <= Number(last); number++)
      names.push(`${stem}${String(number).padStart(first.length, "0")}${rest}`);
  }
  return names;
}
