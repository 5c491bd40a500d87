// An entry of the audit before it has a number: its texts are cut, because callers choose them.
import type { AuditEntry } from "../../documents/audit.ts";

export type NewEntry = Omit<AuditEntry, "number" | "at">;

const FIELD_CHARACTERS = 200;

export function newEntry(entry: NewEntry): NewEntry {
  const { request, who, peer, agent, model, details } = entry;
  const texts = { request: cut(request), who: cut(who), peer: cut(peer), agent: cut(agent), model: cut(model) };
  return { ...entry, ...texts, details: cut(details) };
}

function cut(text: string | null): string | null {
  if (text === null || text.length <= FIELD_CHARACTERS) return text;
  return `${text.slice(0, FIELD_CHARACTERS - 1).toWellFormed()}…`;
}
