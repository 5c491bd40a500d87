// Rosters for tests, signed by an operator.
import { type RosterContent, signRoster } from "#src/trust/roster/draft.ts";
import { testKey } from "#tests/trust/test_key.ts";

const DAY_MS = 86_400_000;

/** The operator whom the tests trust, by the byte of the key. */
export const OPERATOR = 9;

export interface RosterWish extends Partial<RosterContent> {
  readonly serial: number;
  readonly issuedAtMs: number;
  readonly days?: number;
  readonly signer?: number;
}

export function signedRoster({ serial, issuedAtMs, days = 30, signer = OPERATOR, ...content }: RosterWish): string {
  const issued_at_ms = Math.floor(issuedAtMs);
  const times = { serial, issued_at_ms, expires_at_ms: issued_at_ms + days * DAY_MS };
  return signRoster({ agents: {}, senders: [], revoked: [], ...content }, times, testKey(signer));
}
