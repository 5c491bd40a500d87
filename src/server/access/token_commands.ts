// `gpu-server token ...`: adds, lists and revokes tokens, also while the server runs.
import { isoTime, systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { type StorePlace, withStore } from "../store/shared/open.ts";
import { TokenNotes } from "../store/token_notes.ts";
import type { Role, TokenLimits } from "../store/tokens.ts";
import { requireUsable } from "./token_rules.ts";
import { type ListedToken, tokenTable } from "./token_table.ts";

type Print = (text: string) => void;

/**
 * Prints only the new token, so that a script can use the output unchanged.
 * @throws CourierError `invalid` for a viewer that may use a changing verb; as `Tokens.add`
 */
export async function addToken(
  place: StorePlace,
  name: string,
  role: Role,
  limits: TokenLimits,
  print: Print,
): Promise<void> {
  requireUsable(role, limits);
  await withStore(place, async ({ tokens }) => print(`${await tokens.add(name, role, limits)}\n`));
}

export async function listTokens(place: StorePlace, { json }: { readonly json: boolean }, print: Print): Promise<void> {
  const tokens = await withStore(place, ({ tokens: store, database }) => {
    const notes = new TokenNotes({ database, clock: systemClock, log: silentLog }).byName();
    return store.list().map((token) => ({ ...token, lastUsedMs: notes.get(token.name).last_used_ms }));
  });
  print(json ? `${JSON.stringify({ tokens: tokens.map(tokenDocument) })}\n` : tokenTable(tokens, systemClock.now()));
}

export async function revokeToken(place: StorePlace, name: string, print: Print): Promise<void> {
  await withStore(place, async ({ tokens }) => await tokens.revoke(name));
  print(`Revoked ${name}\n`);
}

function tokenDocument({ name, role, created_at, expiresAtMs, agents, verbs, lastUsedMs }: ListedToken) {
  const times = { created_at, expires_at: expiresAtMs && isoTime(expiresAtMs) };
  return { name, role, ...times, agents, verbs, last_used_at: lastUsedMs && isoTime(lastUsedMs) };
}
