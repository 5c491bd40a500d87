// The agent's memory across a crash, in SQLite on the box's own disk: changing commands with their responses, and jobs.
import { Database } from "bun:sqlite";
import { existsSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { CourierError } from "../../base/errors.ts";
import { LIMITS } from "../../protocol.ts";

/** A changing command that was seen before: its run has begun, or its response is known. */
export type LedgerEntry = {
  readonly response: string | null;
  /** When its run began, on the transport's clock. */
  readonly noted_at_ms: number;
};

/** Of a signed command: the box's clock at this moment, and when it expires on the transport's. */
interface Signed {
  readonly boxNowMs: number;
  readonly expiresAtMs: number;
}

type NewEntry = LedgerEntry & { readonly signed: Signed | null };

/** A job or a fetch, as its owner wrote it. */
export interface KeptDocument {
  readonly id: string;
  readonly document: string;
}

/**
 * `signed` has a row for each signed command, with the box's time beside that of the share, whose clock others may set.
 * `replacement` has one row if this ledger replaces a lost one: when it came into use, on the transport's clock.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS commands (key TEXT PRIMARY KEY, response TEXT, noted_at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS fetches (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS replacement (began_at_ms INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS changes (key TEXT PRIMARY KEY, asked_at_ms REAL NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS signed (key TEXT PRIMARY KEY, box_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS attempts (id INTEGER PRIMARY KEY, made_at_ms INTEGER NOT NULL) STRICT;
`;
const NOTE = `
  INSERT INTO commands (key, response, noted_at_ms) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET response = excluded.response WHERE response IS NULL`;
const KEEP = (table: "jobs" | "fetches"): string =>
  `INSERT INTO ${table} (id, document) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document`;
const FORGET = (table: "jobs" | "fetches", end: string): string =>
  `DELETE FROM ${table} WHERE document ->> '${end}' IS NOT NULL AND rowid NOT IN
    (SELECT rowid FROM ${table} ORDER BY document ->> '${end}' DESC LIMIT ?)`;
/** Refusals beyond it are not kept while the ledger cannot be written. */
const UNRECORDED = 1_000;
/** Longer than the longest validity of a command (24 h), with the claim's 24 h on top. */
const KEEP_MS = 49 * 3_600_000;
/** A signed command could run again until it expires. */
const KEEP_EXPIRED_MS = 3_600_000;

export interface LedgerOptions {
  /** False: this state directory had a ledger before, so that a missing one was lost. */
  readonly isFirst?: boolean;
  /** For tests: a disk that fails. */
  readonly openDatabase?: (path: string) => Database;
}

export class Ledger {
  readonly #path: string;
  readonly #isFirst: boolean;
  readonly #openDatabase: (path: string) => Database;
  /** Null: it could not be opened yet, or it was set aside. */
  #db: Database | null = null;
  #trouble: CourierError | null = null;
  /** Responses that could not be recorded: of commands that have run, and refusals. Few: while there are any, no command begins. */
  readonly #unrecorded = new Map<string, NewEntry & { readonly response: string }>();
  /** Keys of commands that this process has begun, and that have no response yet. */
  readonly #running = new Set<string>();
  /** Closed or set aside: it will not be opened again. */
  #isOver = false;

  /**
   * Opens the ledger and locks its folder: one process at a time; the kernel releases the lock however the process ends. A
   * full disk and a corrupt ledger, which is set aside, do not throw but become `trouble`.
   * @throws CourierError `conflict` when another process has it; `unavailable` when it cannot be opened
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

  /** Why nothing can be written now, so that only reading verbs can be served; null when the ledger works. */
  get trouble(): CourierError | null {
    return this.#trouble;
  }

  /**
   * Tries to write, and updates `trouble`. A ledger that was set aside stays so until the next start. A ledger that replaces
   * a lost one records when it came into use.
   * @param transportNowMs the same instant on the transport's clock
   */
  recover(nowMs: number, transportNowMs: number): void {
    if (this.#isOver) return;
    try {
      this.#db ??= this.#open();
      this.#write("UPDATE replacement SET began_at_ms = ? WHERE began_at_ms IS NULL", Math.ceil(transportNowMs));
      this.#write("INSERT OR REPLACE INTO attempts (id, made_at_ms) VALUES (1, ?)", Math.round(nowMs));
      for (const [key, entry] of this.#unrecorded) this.#noteSoon(key, entry);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The command's entry, or null when its key was never seen. @throws CourierError `trouble`, when it cannot be read */
  read(key: string): LedgerEntry | null {
    const unrecorded = this.#unrecorded.get(key);
    if (unrecorded !== undefined) return unrecorded;
    return this.#use((db) =>
      db.query<LedgerEntry, [string]>("SELECT response, noted_at_ms FROM commands WHERE key = ?").get(key),
    );
  }

  /**
   * Whether a command without an entry may have run anyway: this ledger replaced a lost one after it was sent.
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
   * Records that the command's run begins. Durable when it returns.
   * @param nowMs the transport's clock, by which commands lose their validity
   * @param signed null: the command is not signed
   * @throws CourierError `trouble`: nothing is recorded
   */
  start(key: string, nowMs: number, signed: Signed | null = null): void {
    this.#note(key, { response: null, noted_at_ms: nowMs, signed });
    this.#running.add(key);
  }

  /** Whether this process has begun it, and has no response yet. An entry like that of any other command is from before a crash. */
  isRunning(key: string): boolean {
    return this.#running.has(key);
  }

  /**
   * Records the command's response. Durable when it returns.
   * @throws CourierError `trouble`: it is in memory only, and recorded by a later `recover()`
   */
  respond(key: string, response: string, nowMs: number): void {
    this.#running.delete(key);
    this.#noteSoon(key, { response, noted_at_ms: nowMs, signed: null });
  }

  /**
   * Records the refusal of a signed command: when it is put there again, it gets this response instead of running. Durable when it
   * returns, unless there is `trouble`: then it is in memory, and recorded by a later `recover()`. Not while a command with this
   * key runs, which gets its own response.
   */
  refuse(key: string, response: string, nowMs: number, signed: Signed): void {
    if (this.#running.has(key) || this.#unrecorded.size >= UNRECORDED) return;
    try {
      this.#noteSoon(key, { response, noted_at_ms: nowMs, signed });
    } catch (error) {
      if (this.#trouble === null) throw error;
    }
  }

  /**
   * Records when the command was sent that copied onto a model or deleted it, on the transport's clock.
   * @param model in one spelling
   * @throws CourierError `trouble`: it is not recorded
   */
  noteChange(model: string, kind: "copy" | "delete", askedAtMs: number): void {
    this.#write(
      `INSERT INTO changes (key, asked_at_ms) VALUES (?, ?) ON CONFLICT (key)
        DO UPDATE SET asked_at_ms = max(asked_at_ms, excluded.asked_at_ms)`,
      `${kind} ${model}`,
      askedAtMs,
    );
  }

  /** When the last such command was sent; null if there was none. @throws CourierError `trouble`, when it cannot be read */
  changedAtMs(model: string, kind: "copy" | "delete"): number | null {
    const query = "SELECT asked_at_ms FROM changes WHERE key = ?";
    const found = this.#use((db) => db.query<{ asked_at_ms: number }, [string]>(query).get(`${kind} ${model}`));
    return found?.asked_at_ms ?? null;
  }

  /** The documents of all jobs that are kept, oldest first; none when they cannot be read, as `trouble` then shows. */
  jobs(): readonly KeptDocument[] {
    return this.#documents("jobs");
  }

  /** As `jobs()`, of fetches into the mirror. */
  fetches(): readonly KeptDocument[] {
    return this.#documents("fetches");
  }

  #documents(table: "jobs" | "fetches"): readonly KeptDocument[] {
    try {
      return this.#use((db) => db.query<KeptDocument, []>(`SELECT id, document FROM ${table} ORDER BY rowid`).all());
    } catch (error) {
      if (this.#trouble === null) throw error;
      return [];
    }
  }

  /**
   * Saves a job as it is now. Durable when it returns.
   * @param document JSON; `sweep()` reads its `ended_at`
   * @throws CourierError `trouble`: it is not saved
   */
  keepJob(id: string, document: string): void {
    this.#write(KEEP("jobs"), id, document);
  }

  /** As `keepJob()`; `sweep()` reads its `finished_at`. */
  keepFetch(id: string, document: string): void {
    this.#write(KEEP("fetches"), id, document);
  }

  /**
   * Removes entries that nobody can ask about any more; of signed commands only by both clocks, because others may set the
   * share's. A failure becomes `trouble`, and the next sweep removes them.
   * @param boxNowMs the same instant on the box's clock
   */
  sweep(nowMs: number, boxNowMs: number): void {
    try {
      this.#write(
        `DELETE FROM commands WHERE noted_at_ms < ? AND key NOT IN
          (SELECT key FROM signed WHERE box_ms >= ? OR expires_at_ms >= ?)`,
        nowMs - KEEP_MS,
        boxNowMs - KEEP_MS,
        nowMs - KEEP_EXPIRED_MS,
      );
      this.#write("DELETE FROM signed WHERE key NOT IN (SELECT key FROM commands)");
      this.#write("DELETE FROM changes WHERE asked_at_ms < ?", nowMs - KEEP_MS);
      this.#write(FORGET("jobs", "ended_at"), LIMITS.endedJobsKept);
      this.#write(FORGET("fetches", "finished_at"), LIMITS.endedJobsKept);
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
      // The first write takes the exclusive lock and keeps it, which also keeps a second agent out.
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

  #noteSoon(key: string, entry: NewEntry & { readonly response: string }): void {
    this.#unrecorded.set(key, entry);
    this.#note(key, entry);
    this.#unrecorded.delete(key);
  }

  /** A response that is recorded already stays. */
  #note(key: string, { response, noted_at_ms, signed }: NewEntry): void {
    this.#use((db) => {
      const noteAll = db.transaction(() => {
        if (signed !== null) {
          const { boxNowMs, expiresAtMs } = signed;
          db.query("INSERT OR IGNORE INTO signed VALUES (?, ?, ?)").run(key, Math.round(boxNowMs), expiresAtMs);
        }
        db.query(NOTE).run(key, response, Math.round(noted_at_ms));
      });
      noteAll();
    });
    this.#trouble = null;
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

  /** Records a failure as the trouble; sets a corrupt ledger aside. */
  #fail(error: unknown): CourierError {
    if (error instanceof CourierError) return error;
    if (CORRUPT.some((code) => isSqlite(error, code))) this.#trouble = corrupt(this.#setAside(), error);
    else if (isSqlite(error, "SQLITE_FULL")) this.#trouble = full(this.#path, error);
    else if (isSqlite(error, "SQLITE_BUSY")) this.#trouble = inUse(this.#path, error);
    else this.#trouble = unusable(this.#path, error);
    return this.#trouble;
  }

  /** @returns its new name, or its own if it could not be renamed */
  #setAside(): string {
    this.close();
    let number = 1;
    while (existsSync(`${this.#path}.corrupt-${number}`)) number += 1;
    const aside = `${this.#path}.corrupt-${number}`;
    try {
      // Its log first: a new ledger must never find the old log.
      for (const part of ["-wal", "-shm", ""]) {
        if (existsSync(this.#path + part)) renameSync(this.#path + part, aside + part);
      }
      return aside;
    } catch {
      // The disk may have become read-only after errors. It is enough that the ledger is no longer used.
      return this.#path;
    }
  }
}

const CORRUPT = ["SQLITE_CORRUPT", "SQLITE_NOTADB"];

/** Finds damage at the start, rather than when a command needs the damaged part. */
function requireSound(db: Database): void {
  const [finding] = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").all();
  if (finding?.quick_check === "ok") return;
  throw Object.assign(new Error(finding?.quick_check), { code: "SQLITE_CORRUPT" });
}

/** A file that SQLite has only just created is empty, and counts as missing. */
function isMissing(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
}

function corrupt(aside: string, cause: unknown): CourierError {
  const lost = "jobs and recorded responses are lost";
  return new CourierError("unavailable", `The ledger was corrupt and was set aside as ${aside}: ${lost}`, {
    hint: "Check the models on the agent's machine, then restart gpu-agent there: it creates a new ledger",
    cause,
  });
}

function full(path: string, cause: unknown): CourierError {
  return new CourierError("exhausted", `Cannot write to the ledger: no space left for ${path}`, {
    hint: "Free space on the disk of the state directory: the agent then recovers by itself",
    cause,
  });
}

function inUse(path: string, cause: unknown): CourierError {
  return new CourierError("conflict", `Cannot open the ledger: another agent is using ${path}`, {
    hint: "Each agent needs its own state directory: stop the other agent, or give this one another --state-dir",
    cause,
  });
}

function unusable(path: string, cause: unknown): CourierError {
  return new CourierError("unavailable", `Cannot use the ledger ${path}: ${String(cause)}`, {
    hint: "Check that the state directory exists, is writable and is not full",
    cause,
  });
}

function isSqlite(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith(code);
}
