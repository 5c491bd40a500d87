// Distinguishes a change of a state document that matters from figures in it that always move, by its text alone.

/** A state document's text, taken apart. */
export interface StateText {
  /** The text without the figures that always move. */
  readonly rest: string;
  /** Those of its figures that matter when they move far, in the order of the text. */
  readonly figures: readonly Figure[];
}

interface Figure {
  readonly name: string;
  readonly value: number;
}

/** A document counts as changed at least this often, so that no figure that readers know is older. */
const FIGURES_HOLD_MS = 60_000;

const MIB = 1024 * 1024;
/** By name of the figure: how far it may move from the last one that counted. */
const STEPS: Readonly<Record<string, (diskBytes: number) => number>> = {
  free_bytes: (diskBytes) => diskBytes / 100,
  memory_used_bytes: () => 256 * MIB,
  available_bytes: () => 256 * MIB,
  clock_offset_ms: () => 100,
};
/** These say only that the agent is alive. */
const SIGNS_OF_LIFE = [
  "timestamp",
  "sequence",
  "published_at_ms",
  "checked_at",
  "processed_commands",
  "refused_commands",
  "waiting_commands",
  "foreign_states",
];
/** Within a string every quote has a backslash before it, so this finds whole fields only. */
const MOVING = new RegExp(
  `"(${[...SIGNS_OF_LIFE, ...Object.keys(STEPS)].join("|")})"\\s*:\\s*("[^"\\\\]*"|-?\\d[\\d.eE+-]*)`,
  "g",
);

/** The signature of a document is always another one. */
const SIGNATURE = /,"signature":\{"key":"[0-9a-f]{16}","value":"[A-Za-z0-9_-]{86}"\}\}\s*$/;
const SIGNATURE_CHARACTERS = 200;

export function takeApart(text: string): StateText {
  const figures: Figure[] = [];
  const rest = withoutSignature(text).replace(MOVING, (_, name: string, value: string) => {
    if (name in STEPS) figures.push({ name, value: Number(value) });
    return name;
  });
  return { rest, figures };
}

function withoutSignature(text: string): string {
  const end = text.slice(-SIGNATURE_CHARACTERS);
  return text.slice(0, text.length - end.length) + end.replace(SIGNATURE, "}");
}

/**
 * Whether readers should see the document again, or it only shows that its agent is alive.
 * @param before the last document that readers saw; its rest may be a hash, as in `after`
 * @param ageMs how long ago that was
 * @param diskBytes the size of the disk; 0 if unknown
 */
export function isNews<Rest>(
  before: { readonly rest: Rest; readonly figures: StateText["figures"] },
  after: { readonly rest: Rest; readonly figures: StateText["figures"] },
  { ageMs, diskBytes }: { readonly ageMs: number; readonly diskBytes: number },
): boolean {
  if (before.rest !== after.rest || ageMs >= FIGURES_HOLD_MS) return true;
  return movedFar(before.figures, after.figures, diskBytes);
}

/**
 * Whether a figure moved so far that readers should see it.
 * @param before and `after`: of documents with the same rest
 * @param diskBytes the size of the disk; 0 if unknown
 */
export function movedFar(before: readonly Figure[], after: readonly Figure[], diskBytes: number): boolean {
  return after.some(({ name, value }, index) => {
    const step = STEPS[name]?.(diskBytes) ?? 0;
    return Math.abs(value - (before[index]?.value ?? Number.NaN)) > step;
  });
}
