// What a reader remembers of an agent between its runs: the agent's key, and how far its documents have come.

/**
 * How the key became the agent's: it was the first one that was seen, or an operator or a roster named it. `unsigned`: an
 * operator said that this agent does not sign.
 */
export const KEY_STATUSES = ["first use", "confirmed", "unsigned"] as const;
export type KeyStatus = (typeof KEY_STATUSES)[number];

/** The place of a document among all of its agent. */
export interface Position {
  readonly boot: number;
  readonly sequence: number;
}

/** With the position of the newest document that counted: an older one is somebody's copy. */
export interface KnownAgent extends Position {
  /** In base64, as a state names it; null: never seen. */
  readonly key: string | null;
  readonly status: KeyStatus;
}

export function isOlder(one: Position, other: Position): boolean {
  return one.boot === other.boot ? one.sequence < other.sequence : one.boot < other.boot;
}
