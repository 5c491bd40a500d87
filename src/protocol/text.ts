// Texts of other programs, of which a reader keeps only the beginning.
import { z } from "zod";

/** Characters that a reader keeps. A host's name has at most 253. */
export const TEXT_LIMITS = { text: 1_000, host: 255 } as const;

/** A text for people, of which a reader keeps the beginning. It never ends in half of a character. */
export function cut(characters: number) {
  return z.string().overwrite((text) => text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, ""));
}
