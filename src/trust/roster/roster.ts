// A roster: its signature, and what follows from it.
import { CourierError } from "../../base/errors.ts";
import { type PublicKey, parseRawKey } from "../keys.ts";
import { findSignature, isSignedBy } from "../signature.ts";
import { parseTrustedKeys, type TrustedKey } from "../trusted_keys.ts";
import { parseRoster, type RosterDocument } from "./document.ts";

const DAY_MS = 86_400_000;
/** How far ahead of a reader's clock a roster may be issued: one from a wrong clock would be valid for longer. */
const MAX_AHEAD_MS = DAY_MS;

/** A roster that an operator signed. */
export interface Roster extends RosterDocument {
  /** The operator's key. */
  readonly signedBy: string;
  /** By id. A line of a later release that is not understood here is left out. */
  readonly senderKeys: ReadonlyMap<string, TrustedKey>;
  readonly revokedKeys: ReadonlySet<string>;
  /** Raw keys by agent, without those that are revoked. */
  readonly agentKeys: ReadonlyMap<string, string>;
}

/**
 * Verifies a roster: its signature before anything in it is parsed.
 * @param operators finds the key of an operator by its id
 * @returns the roster, perhaps one that is not valid now
 * @throws CourierError `unauthenticated` when no operator signed exactly these bytes; `invalid` when they are no roster
 */
export function verifyRoster(text: string, operators: (id: string) => PublicKey | undefined): Roster {
  const signature = findSignature(text);
  if (signature === null) throw refused("it is not signed");
  const key = operators(signature.keyId);
  if (key === undefined) throw refused(`the key ${signature.keyId} is not an operator's here`);
  if (!isSignedBy("roster", signature, key)) throw refused("it was changed after it was signed");
  const document = parseRoster(signature.signed);
  const revokedKeys = new Set(document.revoked);
  const isTrusted = (raw: string): boolean => revokedKeys.size === 0 || !revokedKeys.has(parseRawKey(raw)?.id ?? "");
  const agents = Object.entries(document.agents).filter(([, raw]) => isTrusted(raw));
  return {
    ...document,
    signedBy: key.id,
    senderKeys: understoodKeys(document.senders),
    revokedKeys,
    agentKeys: new Map(agents),
  };
}

/** Whether its senders are trusted. @param nowMs by the reader's own clock: the share's may be set by others */
export function isValidAt({ issued_at_ms, expires_at_ms }: RosterDocument, nowMs: number): boolean {
  return issued_at_ms <= nowMs + MAX_AHEAD_MS && nowMs < expires_at_ms;
}

/** A line that is not understood, perhaps a limit of a later release, trusts nobody. Of two lines with one key neither counts. */
function understoodKeys(lines: readonly string[]): ReadonlyMap<string, TrustedKey> {
  const keys = new Map<string, TrustedKey>();
  const repeated = new Set<string>();
  for (const key of lines.flatMap(keyOfLine)) {
    if (keys.has(key.id)) repeated.add(key.id);
    keys.set(key.id, key);
  }
  for (const id of repeated) keys.delete(id);
  return keys;
}

function keyOfLine(line: string): readonly TrustedKey[] {
  try {
    return [...parseTrustedKeys(line).values()];
  } catch {
    return [];
  }
}

function refused(reason: string): CourierError {
  return new CourierError("unauthenticated", reason);
}
