// A token of the server, without the token itself.

export interface Token {
  readonly name: string;
  readonly role: keyof typeof ROLES;
  /** Null: all. */
  readonly agents: readonly string[] | null;
  /** Null: all that the role permits. */
  readonly verbs: readonly string[] | null;
  readonly created_at: string;
  readonly created_by: string | null;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
}

export interface NewToken extends Token {
  readonly token: string;
}

export const ROLES = {
  gp: "can make changes",
  viewer: "read-only",
  mirror: "reads the mirror",
} as const;

export function isExpired({ expires_at: end }: Token, nowMs: number): boolean {
  return end !== null && Date.parse(end) <= nowMs;
}
