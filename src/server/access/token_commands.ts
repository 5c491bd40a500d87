// `gpu-server token ...`: adds, lists and revokes tokens, also while the server runs.
import { systemClock } from "../../base/clock.ts";
import { openStore } from "../store/store.ts";
import { type Role, type TokenEntry, Tokens } from "../store/tokens.ts";

type Print = (text: string) => void;

/** Prints only the new token, so that a script can use the output unchanged. */
export function addToken(stateDir: string, name: string, role: Role, print: Print): void {
  withTokens(stateDir, (tokens) => print(`${tokens.add(name, role)}\n`));
}

export function listTokens(stateDir: string, { json }: { readonly json: boolean }, print: Print): void {
  const tokens = withTokens(stateDir, (store) => store.list());
  print(json ? `${JSON.stringify({ tokens })}\n` : table(tokens));
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

function table(tokens: readonly TokenEntry[]): string {
  const rows = [["NAME", "ROLE", "CREATED"], ...tokens.map(({ name, role, created_at }) => [name, role, created_at])];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ")}\n`).join("");
}
