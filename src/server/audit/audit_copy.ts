// The audit of one server as a copy of the audit of all: entries that wait for their numbers there, and those that have one.
import type { Database } from "bun:sqlite";
import { z } from "zod";
import { AuditEntry } from "../../documents/audit.ts";
import { openTables } from "./schema.ts";
import { NEW_FROM, WAITING_FROM } from "./waiting_numbers.ts";

/** An entry as it is in the audit of all servers: without its number, and with what bounds it. */
export const SharedEntry = AuditEntry.omit({ number: true, at: true }).extend({
  at_ms: z.int().nonnegative(),
  is_refused: z.union([z.literal(0), z.literal(1)]),
  account: z.string().nullable(),
});
export type SharedEntry = z.infer<typeof SharedEntry>;

export interface NumberedEntry {
  readonly number: number;
  /** Its own, at whichever server it was made. */
  readonly id: string;
  readonly entry: SharedEntry;
}

/** A log that has another id has other numbers. */
interface AuditPosition {
  readonly log: string;
  /** Everything up to this number is here, or was. */
  readonly last: number;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS audit_copy (log TEXT NOT NULL, last INTEGER NOT NULL) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS audit_entry ON audit (entry) WHERE entry IS NOT NULL;`;
const BEGIN_NUMBERS = [
  `UPDATE sqlite_sequence SET seq = MAX(seq, ${NEW_FROM}) WHERE name = 'audit'`,
  `INSERT INTO sqlite_sequence (name, seq) SELECT 'audit', ${NEW_FROM}
   WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'audit')`,
];
const WAIT = `
  UPDATE audit SET number = number +
    (SELECT COALESCE(MAX(number), ${WAITING_FROM}) FROM audit WHERE number BETWEEN ${WAITING_FROM} AND ${NEW_FROM})
  WHERE number > ? AND number <= ${WAITING_FROM}`;
/** What a command has added beside the server has no id yet. */
const NAME = "UPDATE audit SET entry = lower(hex(randomblob(16))) WHERE number = ? AND entry IS NULL RETURNING entry";
const FIELDS =
  "at_ms, is_refused, request, request_id, who, way, peer, verb, agent, model, details, outcome, job, key, account";
const ADD = `INSERT OR IGNORE INTO audit (number, entry, ${FIELDS}) VALUES ($number, $id, ${FIELDS.replaceAll(/(\w+)/g, "$$$1")})`;

export class AuditCopy {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    openTables(database);
    database
      .transaction(() => {
        const columns = database.query("SELECT 1 FROM pragma_table_info('audit') WHERE name = 'entry'");
        if (columns.get() === null) database.run("ALTER TABLE audit ADD COLUMN entry TEXT");
        database.run(TABLES);
        for (const statement of BEGIN_NUMBERS) database.run(statement);
      })
      .immediate();
  }

  get position(): AuditPosition {
    return this.#database.query<AuditPosition, []>("SELECT log, last FROM audit_copy").get() ?? { log: "", last: 0 };
  }

  /**
   * Makes it a copy of this log. Entries that the log does not have wait for numbers there: those of another log, of a time
   * before any, and those that it has lost.
   * @param last the log's newest number
   */
  become(log: string, last: number): void {
    const before = this.position;
    if (before.log === log && before.last <= last) return;
    const kept = before.log === log ? last : 0;
    this.#database
      .transaction(() => {
        this.#database.query(WAIT).run(kept);
        this.#move({ log, last: kept });
      })
      .immediate();
  }

  /** The log no longer has the entries before this number. */
  skip(first: number, { entries, until }: { readonly entries: number; readonly until: number }): void {
    this.#database
      .transaction(() => {
        this.#database
          .query(
            `INSERT INTO audit_dropped (is_refused, entries, until_ms) VALUES (0, ?, ?) ON CONFLICT DO UPDATE
             SET entries = entries + excluded.entries, until_ms = MAX(until_ms, excluded.until_ms)`,
          )
          .run(entries, until);
        this.#move({ ...this.position, last: first - 1 });
      })
      .immediate();
  }

  /** Entries of this server that wait, the oldest first. @param unendedMs one without an outcome that is older will get none */
  waiting(limit: number, unendedMs: number): readonly (Pick<NumberedEntry, "id"> & { readonly text: string })[] {
    const rows = this.#database
      .query<SharedEntry & { readonly number: number; readonly entry: string | null }, [number, number]>(
        `SELECT number, entry, ${FIELDS} FROM audit
         WHERE number > ${WAITING_FROM} AND (outcome IS NOT NULL OR at_ms < ?) ORDER BY number LIMIT ?`,
      )
      .all(Math.round(unendedMs), limit);
    const name = this.#database.query<{ entry: string }, [number]>(NAME);
    return rows.map(({ number, entry, ...fields }) => ({
      id: entry ?? name.get(number)?.entry ?? "",
      text: JSON.stringify(fields),
    }));
  }

  /** Gives entries their numbers, or adds those of others. All or none. @param last everything up to this number is here then */
  place(entries: readonly NumberedEntry[], last: number): void {
    const number = this.#database.query("UPDATE OR IGNORE audit SET number = ? WHERE entry = ?");
    const add = this.#database.query(ADD);
    this.#quickly(() => {
      for (const { number: at, id, entry } of entries)
        if (number.run(at, id).changes === 0) add.run({ number: at, id, ...entry });
      this.#move({ ...this.position, last });
    });
  }

  #move({ log, last }: AuditPosition): void {
    this.#database.run("DELETE FROM audit_copy");
    this.#database.query("INSERT INTO audit_copy (log, last) VALUES (?, ?)").run(log, last);
  }

  /** As `AuditLog` writes. What a power failure takes comes again. */
  #quickly(write: () => void): void {
    this.#database.run("PRAGMA synchronous = NORMAL");
    try {
      this.#database.transaction(write).immediate();
    } finally {
      this.#database.run("PRAGMA synchronous = FULL");
    }
  }
}
