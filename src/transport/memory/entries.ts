// What the memory transport holds: texts with the time of their publication, and how they are delivered.
import { createHash } from "node:crypto";
import type { Delivery, Inbox, StateRecord } from "../../transport.ts";

export interface Entry {
  readonly text: string;
  readonly atMs: number;
}

export function delivery(inbox: Inbox, id: string, { text, atMs }: Entry): Delivery {
  const hash = createHash("sha256").update(`${text}\0${atMs}`).digest("hex").slice(0, 16);
  return { inbox, id, key: `${id}~${hash}`, content: { text }, sentAtMs: atMs };
}

export function stateRecord(agent: string, { text, atMs }: Entry): StateRecord {
  return { agent, content: { text }, publishedAtMs: atMs };
}

export function removeWhere<Value>(from: Map<string, Value>, isOver: (key: string, value: Value) => boolean): number {
  const over = [...from].filter(([key, value]) => isOver(key, value));
  for (const [key] of over) from.delete(key);
  return over.length;
}

export function inOrder(entries: Map<string, Entry>): [string, Entry][] {
  return [...entries].toSorted(([a, first], [b, second]) => first.atMs - second.atMs || (a < b ? -1 : 1));
}

export function holds(entries: ReadonlyMap<string, Entry>, { inbox, id, key }: Delivery): boolean {
  const entry = entries.get(id);
  return entry !== undefined && delivery(inbox, id, entry).key === key;
}
