// The claims about a user: the fields of a token, or of the platform's answer.
import { createHash } from "node:crypto";
import { fieldOf } from "../../../base/foreign_text.ts";
import { visibleText } from "../../../base/format.ts";
import { LIMITS } from "../../../protocol.ts";

export type Claims = Readonly<Record<string, unknown>>;

/** The names of own tokens contain no colon: limits, jobs and the log never take one for the other. */
const PREFIX = "user:";
const NAME_CLAIMS = ["sub", "username", "email"];
const HASH_DIGITS = 8;
/** A user who chose this name would pass for another one. */
const HASHED = /~[0-9a-f]{8}$/;

/** @param path a field, whose name may contain dots, or several with dots between them: `user.role` */
export function claimAt(claims: Claims, path: string): unknown {
  return fieldOf(claims, path) ?? path.split(".").reduce<unknown>((value, name) => fieldOf(value, name), claims);
}

/** A text, number or boolean as text; undefined for everything else, and for an empty text. */
export function claimText(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/**
 * The name of a user as a caller has it: `user:alice`. Names that cannot be shown as they are stay different by a hash.
 * @param claim where the name is; null: in the first of the usual places
 * @returns undefined when no name is there
 */
export function callerName(claims: Claims, claim: string | null): string | undefined {
  const places = claim === null ? NAME_CLAIMS : [claim];
  const name = places.map((place) => claimText(claimAt(claims, place))).find((text) => text !== undefined);
  if (name === undefined) return undefined;
  const visible = `${PREFIX}${visibleText(name.toWellFormed(), " ")}`;
  const isShown = visible === `${PREFIX}${name}` && visible.length <= LIMITS.requesterCharacters;
  if (isShown && !HASHED.test(name)) return visible;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, HASH_DIGITS);
  return `${visible.slice(0, LIMITS.requesterCharacters - HASH_DIGITS - 1).toWellFormed()}~${hash}`;
}
