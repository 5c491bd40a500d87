// Facts about own tokens beside what they permit: who added them over HTTP, and when they were last used.
import type { Database } from "bun:sqlite";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";

export interface TokenNote {
  /** The name of the token that added it; null: it was added on the server's machine. */
  readonly created_by: string | null;
  readonly last_used_ms: number | null;
}

export interface TokenNotesDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
}

/** A table of its own, which the release before this one does not read. Notes of tokens that were revoked go at a start. */
const TABLE = `
  CREATE TABLE IF NOT EXISTS token_notes (hash BLOB PRIMARY KEY, created_by TEXT, last_used_ms INTEGER) STRICT;
  DELETE FROM token_notes WHERE hash NOT IN (SELECT hash FROM tokens UNION SELECT hash FROM limited_tokens);`;
const NOTHING: TokenNote = { created_by: null, last_used_ms: null };
/** More often would be a write for each request. */
const NOTED_EVERY_MS = 60_000;

export class TokenNotes {
  readonly #deps: TokenNotesDeps;
  readonly #outage: Outage;
  readonly #notedMs = new Map<string, number>();

  /** After `Tokens`, whose tables it reads. */
  constructor(deps: TokenNotesDeps) {
    this.#deps = deps;
    this.#outage = new Outage({ clock: deps.clock, log: deps.log, subject: "The record of token uses" });
    deps.database.run(TABLE);
  }

  /** By the hash of a token, to the minute. A full disk must not keep anybody out: the log shows it. */
  use(hash: Uint8Array): void {
    const { database, clock } = this.#deps;
    const nowMs = Math.round(clock.now());
    const key = Buffer.from(hash).toString("hex");
    if (Math.abs(nowMs - (this.#notedMs.get(key) ?? Number.NEGATIVE_INFINITY)) < NOTED_EVERY_MS) return;
    this.#notedMs.set(key, nowMs);
    try {
      database
        .query(
          `INSERT INTO token_notes (hash, last_used_ms) VALUES (?, ?)
           ON CONFLICT DO UPDATE SET last_used_ms = excluded.last_used_ms`,
        )
        .run(hash, nowMs);
      this.#outage.ended("use");
    } catch (error) {
      this.#outage.failed("use", error);
    }
  }

  create(hash: Uint8Array, createdBy: string): void {
    this.#deps.database
      .query(
        "INSERT INTO token_notes (hash, created_by) VALUES (?, ?) ON CONFLICT DO UPDATE SET created_by = excluded.created_by",
      )
      .run(hash, createdBy);
  }

  /** Of the token with this hash. */
  of(hash: Uint8Array): TokenNote {
    const query = this.#deps.database.query<TokenNote, [Uint8Array]>(
      "SELECT created_by, last_used_ms FROM token_notes WHERE hash = ?",
    );
    return query.get(hash) ?? NOTHING;
  }

  /** Of all tokens, by their names. */
  byName(): { get(name: string): TokenNote } {
    const rows = this.#deps.database.query<TokenNote & { name: string }, []>(
      `SELECT name, created_by, last_used_ms FROM token_notes
       JOIN (SELECT name, hash FROM tokens UNION ALL SELECT name, hash FROM limited_tokens) USING (hash)`,
    );
    const notes = new Map(rows.all().map(({ name, ...note }) => [name, note]));
    return { get: (name) => notes.get(name) ?? NOTHING };
  }
}
