// The tokens as a table for people, 80 columns wide.
import { isoTime } from "../../base/clock.ts";
import { formatAgo } from "../../base/format.ts";
import type { TokenEntry } from "../store/tokens.ts";

const COLUMNS = 80;
const GAP = "   ";
const INDENT = "  ";
/** `2026-01-02` */
const DAY_CHARACTERS = 10;

export type ListedToken = TokenEntry & {
  /** Null: not since this is recorded. */
  readonly lastUsedMs: number | null;
};

/** One line for each token, and below it what limits it. */
export function tokenTable(tokens: readonly ListedToken[], nowMs: number): string {
  const rows = tokens.map((token) => [
    token.name,
    token.role,
    dayOf(token.created_at),
    expiry(token, nowMs),
    token.lastUsedMs === null ? "never" : formatAgo(isoTime(token.lastUsedMs), nowMs),
  ]);
  const [head = "", ...lines] = inColumns([["NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED"], ...rows]);
  const blocks = tokens.map((token, index) => [lines[index] ?? "", ...limits(token)]);
  return [head, ...blocks.flat()].map((line) => `${line}\n`).join("");
}

function inColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(GAP));
}

function expiry({ expiresAtMs }: TokenEntry, nowMs: number): string {
  if (expiresAtMs === null) return "never";
  return expiresAtMs <= nowMs ? "expired" : dayOf(isoTime(expiresAtMs));
}

function dayOf(instant: string): string {
  return instant.slice(0, DAY_CHARACTERS);
}

function limits({ agents, verbs }: TokenEntry): string[] {
  return [...wrapped("only on", agents), ...wrapped("only", verbs)];
}

/** `  only on gpu-1, gpu-2`, in as many lines as it needs. */
function wrapped(title: string, words: readonly string[] | null): string[] {
  if (words === null) return [];
  const lines = [`${INDENT}${title}`];
  for (const [index, word] of words.entries()) {
    const text = index === words.length - 1 ? word : `${word},`;
    const longer = `${lines.at(-1) ?? ""} ${text}`;
    if (longer.length <= COLUMNS) lines.splice(-1, 1, longer);
    else lines.push(`${INDENT}${INDENT}${text}`);
  }
  return lines;
}
