// Which commands a box runs only when they are signed.
import { VERBS, type Verb } from "../protocol.ts";

/** `warn` only logs what `changing` would refuse. The same words are in the state: `requires_signatures`. */
export const SIGNATURE_MODES = ["off", "warn", "changing", "all"] as const;
export type SignatureMode = (typeof SIGNATURE_MODES)[number];

/** @param mode a mode of a later release requires nothing that is known here */
export function mustBeSigned(mode: string | undefined, verb: Verb): boolean {
  return mode === "all" || (mode === "changing" && VERBS[verb].changing);
}
