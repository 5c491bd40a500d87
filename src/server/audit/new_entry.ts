// An entry of the audit before it has a number: its texts are cut, because callers choose them.
import type { AuditEntry } from "../../documents/audit.ts";

export type NewEntry = Omit<AuditEntry, "number" | "at">;

const FIELD_CHARACTERS = 200;
/** Longer than the longest name of a model, or key, that a request may have: nothing of a change is cut off. */
const CHANGE_CHARACTERS = 1_100;

export function newEntry(entry: NewEntry): NewEntry {
  const { request, who, peer, agent, model, details } = entry;
  const texts = {
    request: cut(request),
    who: cut(who),
    peer: cut(peer),
    agent: cut(agent),
    model: cut(model, CHANGE_CHARACTERS),
  };
  return { ...entry, ...texts, details: cut(details, CHANGE_CHARACTERS) };
}

export function cut(text: string | null, characters = FIELD_CHARACTERS): string | null {
  if (text === null || text.length <= characters) return text;
  return `${text.slice(0, characters - 1).toWellFormed()}…`;
}
