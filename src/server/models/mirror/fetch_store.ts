// The fetches into the mirror and the pulls that follow them, as gpu-server keeps them: they go on after a restart.
import type { Database } from "bun:sqlite";
import type { ErrorCode } from "../../../base/errors.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";

export interface FetchRecord {
  readonly id: string;
  /** In Ollama's form. */
  readonly model: string;
  readonly state: FetchDocument["state"];
  readonly completed_bytes: number;
  readonly total_bytes: number | null;
  readonly created_at_ms: number;
  readonly started_at_ms: number | null;
  readonly finished_at_ms: number | null;
  readonly code: ErrorCode | null;
  readonly error: string | null;
  readonly requested_by: string | null;
}

/** A pull on one agent, for after the fetch. */
export interface FollowingPull {
  readonly agent: string;
  /** Pull even if the agent says that the model does not fit. */
  readonly force: 0 | 1;
  /** Pull also outside the hours of the agent. */
  readonly now: 0 | 1;
  readonly requested_by: string | null;
  /** Of its job; null: not sent yet. */
  readonly job: string | null;
  readonly code: ErrorCode | null;
  readonly error: string | null;
}

type Outcome = Pick<FetchRecord, "code" | "error"> & { readonly state: "succeeded" | "failed" | "cancelled" };

/** Tables of their own, which the release before this one does not read. */
const TABLES = `
  CREATE TABLE IF NOT EXISTS mirror_fetches (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, state TEXT NOT NULL,
    completed_bytes INTEGER NOT NULL, total_bytes INTEGER, created_at_ms INTEGER NOT NULL, started_at_ms INTEGER,
    finished_at_ms INTEGER, code TEXT, error TEXT, requested_by TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS mirror_pulls (
    fetch TEXT NOT NULL, agent TEXT NOT NULL, force INTEGER NOT NULL, now INTEGER NOT NULL, requested_by TEXT, job TEXT, code TEXT, error TEXT,
    PRIMARY KEY (fetch, agent)
  ) STRICT, WITHOUT ROWID;`;

/** Ended ones: repeated requests cannot fill the disk. */
const KEPT = 200;
const IS_ACTIVE = "state IN ('queued', 'running')";
const HAS_UNSENT = "id IN (SELECT fetch FROM mirror_pulls WHERE job IS NULL)";

export class FetchStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    database.run(TABLES);
  }

  /** Removes the oldest ended ones that are too many, but none whose pulls still have to be sent. */
  add({
    id,
    model,
    created_at_ms,
    requested_by,
  }: Pick<FetchRecord, "id" | "model" | "created_at_ms" | "requested_by">): void {
    this.#database.transaction(() => {
      this.#database
        .query(
          `INSERT INTO mirror_fetches (id, model, state, completed_bytes, created_at_ms, requested_by)
           VALUES (?, ?, 'queued', 0, ?, ?)`,
        )
        .run(id, model, created_at_ms, requested_by);
      this.#database
        .query(
          `DELETE FROM mirror_fetches WHERE NOT ${IS_ACTIVE} AND number NOT IN
           (SELECT number FROM mirror_fetches WHERE NOT ${IS_ACTIVE} ORDER BY number DESC LIMIT ?) AND NOT ${HAS_UNSENT}`,
        )
        .run(KEPT);
      this.#database.run("DELETE FROM mirror_pulls WHERE fetch NOT IN (SELECT id FROM mirror_fetches)");
    })();
  }

  begin(id: string, nowMs: number): void {
    this.#database
      .query("UPDATE mirror_fetches SET state = 'running', started_at_ms = COALESCE(started_at_ms, ?) WHERE id = ?")
      .run(nowMs, id);
  }

  progress(
    id: string,
    { completed_bytes, total_bytes, error }: Pick<FetchRecord, "completed_bytes" | "total_bytes" | "error">,
  ): void {
    this.#database
      .query("UPDATE mirror_fetches SET completed_bytes = ?, total_bytes = ?, error = ? WHERE id = ?")
      .run(completed_bytes, total_bytes, error, id);
  }

  end(id: string, { state, code, error }: Outcome, nowMs: number): void {
    this.#database
      .query("UPDATE mirror_fetches SET state = ?, code = ?, error = ?, finished_at_ms = ? WHERE id = ?")
      .run(state, code, error, nowMs, id);
  }

  find(id: string): FetchRecord | undefined {
    return (
      this.#database.query<FetchRecord, [string]>("SELECT * FROM mirror_fetches WHERE id = ?").get(id) ?? undefined
    );
  }

  /** The newest first. */
  list(): readonly FetchRecord[] {
    return this.#database.query<FetchRecord, []>("SELECT * FROM mirror_fetches ORDER BY number DESC").all();
  }

  /** Queued and running, in the order in which they were asked for. */
  active(): readonly FetchRecord[] {
    return this.#database
      .query<FetchRecord, []>(`SELECT * FROM mirror_fetches WHERE ${IS_ACTIVE} ORDER BY number`)
      .all();
  }

  /** An agent that is there already keeps its pull. */
  addPulls(fetch: string, pulls: readonly Pick<FollowingPull, "agent" | "force" | "now" | "requested_by">[]): void {
    const add = this.#database.query(
      `INSERT INTO mirror_pulls (fetch, agent, force, now, requested_by) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (fetch, agent) DO UPDATE SET force = MAX(force, excluded.force), now = MAX(now, excluded.now)`,
    );
    this.#database.transaction(() => {
      for (const { agent, force, now, requested_by } of pulls) add.run(fetch, agent, force, now, requested_by);
    })();
  }

  pulls(fetch: string): readonly FollowingPull[] {
    return this.#database
      .query<FollowingPull, [string]>(
        "SELECT agent, force, now, requested_by, job, code, error FROM mirror_pulls WHERE fetch = ? ORDER BY agent",
      )
      .all(fetch);
  }

  /** The pull is a job now. */
  sent(fetch: string, { agent, job, code, error }: Pick<FollowingPull, "agent" | "job" | "code" | "error">): void {
    this.#database
      .query("UPDATE mirror_pulls SET job = ?, code = ?, error = ? WHERE fetch = ? AND agent = ?")
      .run(job, code, error, fetch, agent);
  }

  /** Ended ones whose pulls are not all sent. */
  unsent(): readonly FetchRecord[] {
    return this.#database
      .query<FetchRecord, []>(`SELECT * FROM mirror_fetches WHERE NOT ${IS_ACTIVE} AND ${HAS_UNSENT}`)
      .all();
  }
}
