// What the agent must remember over a crash: changing commands with their answers, and its jobs.
// SQLite on the box's own disk, never on the share. Imports bun:sqlite, protocol, errors.
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { CourierError } from "../errors.ts";
import { Job } from "../protocol.ts";

/** A changing command that was seen before: its run has begun, or its answer is known. */
export type LedgerEntry = { readonly response: string | null };

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS commands (
    key TEXT PRIMARY KEY,
    response TEXT,
    noted_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL
  ) STRICT;
`;
/** Longer than the longest validity of a command (24 h), with the claim's 24 h on top. */
const KEEP_MS = 49 * 3_600_000;
const KEEP_ENDED_JOBS = 200;

export class Ledger {
  readonly #db: Database;

  /**
   * Opens the ledger and holds its folder: one process at a time, freed by the kernel however that process ends.
   * @throws CourierError `conflict` when another process holds it; `unavailable` when it cannot be opened
   */
  constructor(stateDir: string) {
    const path = join(stateDir, "ledger.db");
    try {
      this.#db = new Database(path);
      // The exclusive lock is taken by the first write and kept: it is also what keeps a second agent out.
      this.#db.run("PRAGMA locking_mode = EXCLUSIVE");
      this.#db.run("PRAGMA journal_mode = WAL");
      this.#db.run("PRAGMA synchronous = FULL");
      this.#db.run("BEGIN IMMEDIATE");
      this.#db.run("COMMIT");
      this.#db.run(SCHEMA);
    } catch (error) {
      throw openFailure(path, error);
    }
  }

  /** The command's entry, or null when its key was never seen. */
  read(key: string): LedgerEntry | null {
    return this.#db.query<LedgerEntry, [string]>("SELECT response FROM commands WHERE key = ?").get(key);
  }

  /**
   * Notes that the command's run begins. Durable when it returns.
   * @param nowMs the transport's clock, by which commands lose their validity
   * @throws CourierError `exhausted` when its disk is full
   */
  start(key: string, nowMs: number): void {
    this.#write("INSERT OR IGNORE INTO commands (key, noted_at_ms) VALUES (?, ?)", key, Math.round(nowMs));
  }

  /** Notes the command's answer. Durable when it returns. @throws CourierError `exhausted` when its disk is full */
  respond(key: string, response: string, nowMs: number): void {
    this.#write(
      "INSERT INTO commands (key, response, noted_at_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET response = excluded.response",
      key,
      response,
      Math.round(nowMs),
    );
  }

  /** Every job that is kept, oldest first. */
  jobs(): Job[] {
    const rows = this.#db.query<{ document: string }, []>("SELECT document FROM jobs ORDER BY rowid").all();
    return rows.map(({ document }) => Job.parse(JSON.parse(document)));
  }

  /** Writes a job down as it is now. @throws CourierError `exhausted` when its disk is full */
  keepJob(job: Job): void {
    this.#write(
      "INSERT INTO jobs (id, document) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document",
      job.id ?? "",
      JSON.stringify(job),
    );
  }

  /** Forgets what nobody can ask about any more. */
  sweep(nowMs: number): void {
    this.#db.query("DELETE FROM commands WHERE noted_at_ms < ?").run(nowMs - KEEP_MS);
    this.#db
      .query(
        "DELETE FROM jobs WHERE document ->> 'ended_at' IS NOT NULL AND rowid NOT IN (SELECT rowid FROM jobs ORDER BY rowid DESC LIMIT ?)",
      )
      .run(KEEP_ENDED_JOBS);
  }

  close(): void {
    this.#db.close();
  }

  #write(sql: string, ...values: (string | number)[]): void {
    try {
      this.#db.query(sql).run(...values);
    } catch (error) {
      if (!isSqlite(error, "SQLITE_FULL")) throw error;
      throw new CourierError("exhausted", "Cannot note it in the ledger: the disk of the state directory is full", {
        hint: "Free space on the box's own disk",
        cause: error,
      });
    }
  }
}

function openFailure(path: string, error: unknown): CourierError {
  if (isSqlite(error, "SQLITE_BUSY")) {
    return new CourierError("conflict", `Cannot open the ledger: another agent uses ${path}`, {
      hint: "One agent per state directory: stop the other one, or give this one its own --state-dir",
      cause: error,
    });
  }
  return new CourierError("unavailable", `Cannot open the ledger ${path}: ${String(error)}`, {
    hint: "Check that the state directory exists, is writable and not full",
    cause: error,
  });
}

function isSqlite(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith(code);
}
