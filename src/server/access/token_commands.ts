// `gpu-server token ...`: adds, lists and revokes tokens, also while the server runs.
import { isoTime, systemClock } from "../../base/clock.ts";
import { openStore } from "../store/store.ts";
import { type Role, type TokenEntry, type TokenLimits, Tokens } from "../store/tokens.ts";
import { requireUsable } from "./token_rules.ts";
import { tokenTable } from "./token_table.ts";

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
  const tokens = withTokens(stateDir, (store) => store.list());
  print(json ? `${JSON.stringify({ tokens: tokens.map(tokenDocument) })}\n` : tokenTable(tokens, systemClock.now()));
}

export function revokeToken(stateDir: string, name: string, print: Print): void {
  withTokens(stateDir, (tokens) => tokens.revoke(name));
  print(`Revoked ${name}\n`);
}

function withTokens<Result>(stateDir: string, use: (tokens: Tokens) => Result): Result {
  const database = openStore(stateDir);
  try {
    return use(new Tokens(database, systemClock));
  } finally {
    database.close();
  }
}

function tokenDocument({ name, role, created_at, expiresAtMs, agents, verbs }: TokenEntry) {
  return { name, role, created_at, expires_at: expiresAtMs && isoTime(expiresAtMs), agents, verbs };
}
