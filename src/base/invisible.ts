// Characters that nobody sees, or that change how the text around them looks: a terminal must not get them.

/** Controls, C1 included, what reverses the writing direction, what has no width, and line separators; not the line break. */
const INVISIBLE = /(?!\n)[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu;

export function replaceInvisible(text: string, replacement: string): string {
  return text.replaceAll(INVISIBLE, replacement);
}

/** Writes each as `\uXXXX`. In JSON, the same document. */
export function escapeInvisible(text: string): string {
  return text.replaceAll(INVISIBLE, (character) => character.split("").map(escapedUnit).join(""));
}

/** A document for `--json`. */
export function jsonText(document: unknown, indent?: number): string {
  return escapeInvisible(JSON.stringify(document, null, indent));
}

function escapedUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
