// What the agent must remember over a crash: changing commands with their answers, and its jobs.
// SQLite on the box's own disk, never on the share. Imports bun:sqlite, node:fs for its own files, protocol, foreign text,
// errors.
import { Database } from "bun:sqlite";
import { existsSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { CourierError } from "../../base/errors.ts";
import { LIMITS } from "../../protocol.ts";

/** A changing command that was seen before: its run has begun, or its answer is known. */
export type LedgerEntry = {
  readonly response: string | null;
  /** When its run began, on the transport's clock. */
  readonly noted_at_ms: number;
};

/** `replacement` has one row where a ledger took a lost one's place: since when it is in use, on the transport's clock. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS commands (key TEXT PRIMARY KEY, response TEXT, noted_at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS replacement (began_at_ms INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS attempts (id INTEGER PRIMARY KEY, made_at_ms INTEGER NOT NULL) STRICT;
`;
/** Longer than the longest validity of a command (24 h), with the claim's 24 h on top. */
const KEEP_MS = 49 * 3_600_000;

export interface LedgerOptions {
  /** False: this state directory had a ledger before, so that one that is missing was lost. */
  readonly isFirst?: boolean;
  /** The disk as an argument. */
  readonly openDatabase?: (path: string) => Database;
}

export class Ledger {
  readonly #path: string;
  readonly #isFirst: boolean;
  readonly #openDatabase: (path: string) => Database;
  /** Null: it could not be opened yet, or was set aside. */
  #db: Database | null = null;
  #trouble: CourierError | null = null;
  /** Closed, or set aside: it is not opened again. */
  #isOver = false;

  /**
   * Opens the ledger and holds its folder: one process at a time, freed by the kernel however that process ends. A full
   * disk and a corrupt ledger, which is set aside, are no failure but `trouble`.
   * @throws CourierError `conflict` when another process holds it; `unavailable` when it cannot be opened
   */
  constructor(stateDir: string, { isFirst = true, openDatabase = (path) => new Database(path) }: LedgerOptions = {}) {
    this.#path = join(stateDir, "ledger.db");
    this.#isFirst = isFirst;
    this.#openDatabase = openDatabase;
    try {
      this.#db = this.#open();
    } catch (error) {
      const failure = this.#fail(error);
      if (!isSqlite(error, "SQLITE_FULL") && !this.#isOver) throw failure;
    }
  }

  /** Why nothing can be noted just now, so that only reading verbs can be served; null when all is well. */
  get trouble(): CourierError | null {
    return this.#trouble;
  }

  /**
   * Tries whether something can be noted; `trouble` tells. A ledger that was set aside stays so until the next start. One
   * that took a lost one's place learns when it came into use.
   * @param transportNowMs the same instant on the transport's clock
   */
  recover(nowMs: number, transportNowMs: number): void {
    if (this.#isOver) return;
    try {
      this.#db ??= this.#open();
      this.#write("UPDATE replacement SET began_at_ms = ? WHERE began_at_ms IS NULL", Math.ceil(transportNowMs));
      this.#write("INSERT OR REPLACE INTO attempts (id, made_at_ms) VALUES (1, ?)", Math.round(nowMs));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The command's entry, or null when its key was never seen. @throws CourierError `trouble`, when it cannot be read */
  read(key: string): LedgerEntry | null {
    return this.#use((db) =>
      db.query<LedgerEntry, [string]>("SELECT response, noted_at_ms FROM commands WHERE key = ?").get(key),
    );
  }

  /**
   * Whether a command that is not in here may have been run anyway: this ledger took a lost one's place later.
   * @param sentAtMs when the command was published, on the transport's clock
   * @throws CourierError `trouble`, when it cannot be read
   */
  mayHaveForgotten(sentAtMs: number): boolean {
    const replacement = this.#use((db) =>
      db.query<{ began_at_ms: number | null }, []>("SELECT began_at_ms FROM replacement").get(),
    );
    return replacement !== null && sentAtMs < (replacement.began_at_ms ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Notes that the command's run begins. Durable when it returns.
   * @param nowMs the transport's clock, by which commands lose their validity
   * @throws CourierError `trouble`: nothing is noted
   */
  start(key: string, nowMs: number): void {
    this.#write("INSERT OR IGNORE INTO commands (key, noted_at_ms) VALUES (?, ?)", key, Math.round(nowMs));
  }

  /** Notes the command's answer. Durable when it returns. @throws CourierError `trouble`: it is not noted */
  respond(key: string, response: string, nowMs: number): void {
    this.#write(
      "INSERT INTO commands (key, response, noted_at_ms) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET response = excluded.response",
      key,
      response,
      Math.round(nowMs),
    );
  }

  /** Every job that is kept, oldest first, as it was given to `keepJob()`; none when they cannot be read: see `trouble`. */
  jobs(): readonly { readonly id: string; readonly document: string }[] {
    try {
      return this.#use((db) =>
        db.query<{ id: string; document: string }, []>("SELECT id, document FROM jobs ORDER BY rowid").all(),
      );
    } catch (error) {
      if (this.#trouble === null) throw error;
      return [];
    }
  }

  /** Saves a job, as JSON. Durable when it returns. @throws CourierError `trouble`: it is not saved */
  keepJob(id: string, document: string): void {
    this.#write(
      "INSERT INTO jobs (id, document) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document",
      id,
      document,
    );
  }

  /** Forgets what nobody can ask about any more; what cannot be removed, which `trouble` tells, stays until the next time. */
  sweep(nowMs: number): void {
    try {
      this.#write("DELETE FROM commands WHERE noted_at_ms < ?", nowMs - KEEP_MS);
      this.#write(
        `DELETE FROM jobs WHERE document ->> 'ended_at' IS NOT NULL AND rowid NOT IN
          (SELECT rowid FROM jobs ORDER BY document ->> 'ended_at' DESC LIMIT ?)`,
        LIMITS.endedJobsKept,
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): void {
    this.#isOver = true;
    this.#db?.close();
    this.#db = null;
  }

  #open(): Database {
    const replaces = !this.#isFirst && isMissing(this.#path);
    const db = this.#openDatabase(this.#path);
    try {
      // The exclusive lock is taken by the first write and kept: it is also what keeps a second agent out.
      db.run("PRAGMA locking_mode = EXCLUSIVE");
      db.run("PRAGMA journal_mode = WAL");
      db.run("PRAGMA synchronous = FULL");
      db.run("BEGIN IMMEDIATE");
      db.run(SCHEMA);
      if (replaces) db.run("INSERT INTO replacement (began_at_ms) VALUES (NULL)");
      db.run("COMMIT");
      requireSound(db);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  #write(sql: string, ...values: (string | number)[]): void {
    this.#use((db) => db.query(sql).run(...values));
    this.#trouble = null;
  }

  #use<Value>(action: (db: Database) => Value): Value {
    if (this.#db === null) throw this.#trouble ?? new CourierError("unavailable", "The ledger is closed");
    try {
      return action(this.#db);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Takes a failure down as the trouble that it is; sets a corrupt ledger aside. */
  #fail(error: unknown): CourierError {
    if (error instanceof CourierError) return error;
    if (CORRUPT.some((code) => isSqlite(error, code))) this.#trouble = corrupt(this.#setAside(), error);
    else if (isSqlite(error, "SQLITE_FULL")) this.#trouble = full(this.#path, error);
    else if (isSqlite(error, "SQLITE_BUSY")) this.#trouble = inUse(this.#path, error);
    else this.#trouble = unusable(this.#path, error);
    return this.#trouble;
  }

  /** @returns the name that it has now: its own where it could not be renamed */
  #setAside(): string {
    this.close();
    let number = 1;
    while (existsSync(`${this.#path}.corrupt-${number}`)) number += 1;
    const aside = `${this.#path}.corrupt-${number}`;
    try {
      // Its log first: a new ledger must never find that.
      for (const part of ["-wal", "-shm", ""]) {
        if (existsSync(this.#path + part)) renameSync(this.#path + part, aside + part);
      }
      return aside;
    } catch {
      // On a disk that went read-only after errors, say: what counts is that it is not used.
      return this.#path;
    }
  }
}

const CORRUPT = ["SQLITE_CORRUPT", "SQLITE_NOTADB"];

/** What is damaged inside is found at the start, not by the command that needs it. */
function requireSound(db: Database): void {
  const [finding] = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").all();
  if (finding?.quick_check === "ok") return;
  throw Object.assign(new Error(finding?.quick_check), { code: "SQLITE_CORRUPT" });
}

/** A file that SQLite has only just made is empty: as good as none. */
function isMissing(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
}

function corrupt(aside: string, cause: unknown): CourierError {
  const lost = "jobs and recorded answers are lost";
  return new CourierError("unavailable", `The ledger was corrupt and is set aside as ${aside}: ${lost}`, {
    hint: "Look at the models of this box, then restart gpu-agent on it: that begins a new ledger",
    cause,
  });
}

function full(path: string, cause: unknown): CourierError {
  return new CourierError("exhausted", `Cannot note it in the ledger: no space is left for ${path}`, {
    hint: "Free space on the box's own disk: the agent goes on by itself",
    cause,
  });
}

function inUse(path: string, cause: unknown): CourierError {
  return new CourierError("conflict", `Cannot open the ledger: another agent uses ${path}`, {
    hint: "One agent per state directory: stop the other one, or give this one its own --state-dir",
    cause,
  });
}

function unusable(path: string, cause: unknown): CourierError {
  return new CourierError("unavailable", `Cannot use the ledger ${path}: ${String(cause)}`, {
    hint: "Check that the state directory exists, is writable and not full",
    cause,
  });
}

function isSqlite(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith(code);
}
