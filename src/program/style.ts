// Colors by meaning, for terminals that welcome them.

/** What a text means to its reader. */
export type Tone = "good" | "busy" | "caution" | "bad" | "faint" | "strong";

/** Colors a text, or leaves it as it is where no colors are welcome. */
export type Paint = (text: string, tone: Tone | null) => string;

/** On and off; the 16 colors that every terminal has, in the shades that its user chose. */
const CODES: Readonly<Record<Tone, readonly [on: number, off: number]>> = {
  good: [32, 39],
  busy: [36, 39],
  caution: [33, 39],
  bad: [31, 39],
  faint: [2, 22],
  strong: [1, 22],
};

/** The environment's word on colors. @see https://no-color.org */
export function welcomesColor(environment: NodeJS.ProcessEnv = process.env): boolean {
  return (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb";
}

export const plain: Paint = (text) => text;

export const colored: Paint = (text, tone) => {
  if (tone === null || text === "") return text;
  const [on, off] = CODES[tone];
  return `\u001b[${on}m${text}\u001b[${off}m`;
};

/** At most `width` columns, with an ellipsis where something is left out. The text may be colored. */
export function cutText(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  return width < 1 ? "" : `${Bun.sliceAnsi(text, 0, width - 1)}…`;
}
