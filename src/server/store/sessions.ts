// The sessions of browsers and the codes of sign-in links, by the hashes of their secrets.
import type { Database } from "bun:sqlite";

/** What a session stands for: an own token, by its hash, or one of the platform, which only the session's secret opens. */
export interface StoredSession {
  /** Of its secret. */
  readonly hash: Uint8Array;
  /** Whose it is, for the bound on the sessions of each. */
  readonly owner: string;
  readonly token_hash: Uint8Array | null;
  readonly sealed_token: Uint8Array | null;
  readonly expires_at_ms: number;
}

/** Tables of their own, which the release before this one does not read. */
const TABLES = `
  CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, owner TEXT NOT NULL, token_hash BLOB,
    sealed_token BLOB, expires_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS sessions_owner ON sessions (owner, number);
  CREATE TABLE IF NOT EXISTS sign_in_codes (
    hash BLOB PRIMARY KEY, token_hash BLOB NOT NULL, expires_at_ms INTEGER NOT NULL
  ) STRICT;`;

export interface SessionBounds {
  /** A further one ends the oldest of its owner. */
  readonly ofOwner: number;
  readonly inAll: number;
}

export const SESSION_BOUNDS: SessionBounds = { ofOwner: 20, inAll: 10_000 };

/** What the server uses of them, wherever they are. */
export interface SessionStore extends Pick<StoredSessions, "find" | "findCode" | "forget"> {
  add(...args: Parameters<StoredSessions["add"]>): boolean | Promise<boolean>;
  remove(hash: Uint8Array): void | Promise<void>;
  addCode(...args: Parameters<StoredSessions["addCode"]>): void | Promise<void>;
  takeCode(hash: Uint8Array, nowMs: number): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** Several processes may have it open: a code that one of them adds is there for the others at once. */
export class StoredSessions {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.run(TABLES);
  }

  /** Also removes those that have expired. @returns false when there are too many */
  add(session: StoredSession, nowMs: number, { ofOwner, inAll }: SessionBounds): boolean {
    const add = this.#database.transaction(() => {
      this.#database.query("DELETE FROM sessions WHERE expires_at_ms <= ?").run(nowMs);
      this.#database
        .query(
          `DELETE FROM sessions WHERE owner = ?1 AND number <=
           (SELECT number FROM sessions WHERE owner = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)`,
        )
        .run(session.owner, ofOwner - 1);
      if (this.count() >= inAll) return false;
      this.#database
        .query<undefined, [Uint8Array, string, Uint8Array | null, Uint8Array | null, number]>(
          "INSERT INTO sessions (hash, owner, token_hash, sealed_token, expires_at_ms) VALUES (?, ?, ?, ?, ?)",
        )
        .run(session.hash, session.owner, session.token_hash, session.sealed_token, session.expires_at_ms);
      return true;
    });
    return add.immediate();
  }

  /** With those that have expired since the last addition. */
  count(): number {
    return this.#database.query<{ count: number }, []>("SELECT COUNT(*) AS count FROM sessions").get()?.count ?? 0;
  }

  /** Undefined: it has ended, or never was. */
  find(hash: Uint8Array, nowMs: number): StoredSession | undefined {
    const row = this.#database
      .query<StoredSession, [Uint8Array, number]>("SELECT * FROM sessions WHERE hash = ? AND expires_at_ms > ?")
      .get(hash, nowMs);
    return row ?? undefined;
  }

  /** Ends a session. */
  remove(hash: Uint8Array): void {
    this.forget(hash);
  }

  /** Removes a session that ended by itself, as it does at every server. */
  forget(hash: Uint8Array): void {
    this.#database.query("DELETE FROM sessions WHERE hash = ?").run(hash);
  }

  /** Also removes those that have expired. */
  addCode(
    hash: Uint8Array,
    tokenHash: Uint8Array,
    { nowMs, expiresAtMs }: { nowMs: number; expiresAtMs: number },
  ): void {
    this.#database.query("DELETE FROM sign_in_codes WHERE expires_at_ms <= ?").run(nowMs);
    this.#database.query("INSERT INTO sign_in_codes VALUES (?, ?, ?)").run(hash, tokenHash, expiresAtMs);
  }

  /** As `takeCode()`, without using it up. */
  findCode(hash: Uint8Array, nowMs: number): Uint8Array | undefined {
    const row = this.#database
      .query<{ token_hash: Uint8Array }, [Uint8Array, number]>(
        "SELECT token_hash FROM sign_in_codes WHERE hash = ? AND expires_at_ms > ?",
      )
      .get(hash, nowMs);
    return row?.token_hash;
  }

  /** Uses a code up. @returns the hash of its token; undefined: there is no such code, or it has expired */
  takeCode(hash: Uint8Array, nowMs: number): Uint8Array | undefined {
    const row = this.#database
      .query<{ token_hash: Uint8Array; expires_at_ms: number }, [Uint8Array]>(
        "DELETE FROM sign_in_codes WHERE hash = ? RETURNING token_hash, expires_at_ms",
      )
      .get(hash);
    return row === null || row.expires_at_ms <= nowMs ? undefined : row.token_hash;
  }
}
