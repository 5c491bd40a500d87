// The ends that this server has seen and the shared log does not have yet, in order. They survive a restart.
import type { Database } from "bun:sqlite";
import { Job } from "../../../../protocol.ts";

export interface PendingEnd {
  readonly job: Job;
  /** When it was, on the transport's clock. */
  readonly atMs: number;
}

interface Row {
  readonly number: number;
  readonly ended_ms: number;
  readonly job: string;
}

const TABLE = `CREATE TABLE IF NOT EXISTS pending_ends (
  number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, ended_ms INTEGER NOT NULL, job TEXT NOT NULL
) STRICT`;

export class PendingEnds {
  readonly #database: Database;
  readonly #keys: Set<string>;

  constructor(database: Database) {
    this.#database = database;
    database.run(TABLE);
    const rows = database.query<{ key: string }, []>("SELECT key FROM pending_ends").all();
    this.#keys = new Set(rows.map(({ key }) => key));
  }

  get size(): number {
    return this.#keys.size;
  }

  has(job: Job): boolean {
    return this.#keys.has(endKey(job));
  }

  /** All or none. */
  add(ends: readonly PendingEnd[]): void {
    const insert = this.#database.query("INSERT OR IGNORE INTO pending_ends (key, ended_ms, job) VALUES (?, ?, ?)");
    this.#database.transaction(() => {
      for (const { job, atMs } of ends) insert.run(endKey(job), atMs, JSON.stringify(job));
    })();
    for (const { job } of ends) this.#keys.add(endKey(job));
  }

  first(limit: number): readonly PendingEnd[] {
    return this.#database
      .query<Row, [number]>("SELECT number, ended_ms, job FROM pending_ends ORDER BY number LIMIT ?")
      .all(limit)
      .map(({ ended_ms, job }) => ({ job: Job.parse(JSON.parse(job)), atMs: ended_ms }));
  }

  remove(ends: readonly PendingEnd[]): void {
    const remove = this.#database.query("DELETE FROM pending_ends WHERE key = ?");
    this.#database.transaction(() => {
      for (const { job } of ends) remove.run(endKey(job));
    })();
    for (const { job } of ends) this.#keys.delete(endKey(job));
  }
}

/** Under which the shared log has the end: both parts are tokens of a subject as they are. */
export function endKey({ agent, id }: Job): string {
  return `${agent}.${id ?? ""}`;
}
