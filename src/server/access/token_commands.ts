// `gpu-server token ...`: adds, lists and revokes tokens, also while the server runs.
import { isoTime, systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { openStore } from "../store/store.ts";
import { TokenNotes } from "../store/token_notes.ts";
import { type Role, type TokenLimits, Tokens } from "../store/tokens.ts";
import { requireUsable } from "./token_rules.ts";
import { type ListedToken, tokenTable } from "./token_table.ts";

type Print = (text: string) => void;

/**
 * Prints only the new token, so that a script can use the output unchanged.
 * @throws CourierError `invalid` for a viewer that may use a changing verb; as `Tokens.add`
 */
export function addToken(stateDir: string, name: string, role: Role, limits: TokenLimits, print: Print): void {
  requireUsable(role, limits);
  withTokens(stateDir, (tokens) => print(`${tokens.add(name, role, limits)}\n`));
}

export function listTokens(stateDir: string, { json }: { readonly json: boolean }, print: Print): void {
  const tokens = withTokens(stateDir, (store, database) => {
    const notes = new TokenNotes({ database, clock: systemClock, log: silentLog }).byName();
    return store.list().map((token) => ({ ...token, lastUsedMs: notes.get(token.name).last_used_ms }));
  });
  print(json ? `${JSON.stringify({ tokens: tokens.map(tokenDocument) })}\n` : tokenTable(tokens, systemClock.now()));
}

export function revokeToken(stateDir: string, name: string, print: Print): void {
  withTokens(stateDir, (tokens) => tokens.revoke(name));
  print(`Revoked ${name}\n`);
}

function withTokens<Result>(
  stateDir: string,
  use: (tokens: Tokens, database: ReturnType<typeof openStore>) => Result,
): Result {
  const database = openStore(stateDir);
  try {
    return use(new Tokens(database, systemClock), database);
  } finally {
    database.close();
  }
}

function tokenDocument({ name, role, created_at, expiresAtMs, agents, verbs, lastUsedMs }: ListedToken) {
  const times = { created_at, expires_at: expiresAtMs && isoTime(expiresAtMs) };
  return { name, role, ...times, agents, verbs, last_used_at: lastUsedMs && isoTime(lastUsedMs) };
}
