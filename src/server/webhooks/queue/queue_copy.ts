// The queue of one server beside those of others with the same webhooks: each has all events, and marks what any of them has sent.
import type { Database } from "bun:sqlite";
import { GIVE_UP_MS } from "./backoff.ts";
import { QUEUE_LIMITS, WebhookQueue } from "./queue.ts";
import type { QueueEntry } from "./queue_entry.ts";
import { inTransaction } from "./transactions.ts";

interface NumberedEntry {
  readonly number: number;
  readonly entry: QueueEntry;
}

type Start = Extract<QueueEntry, { kind: "target" }>;
type Done = Extract<QueueEntry, { kind: "done" }>;

/** Of the log that servers share. */
interface CopyPosition {
  readonly log: string;
  readonly last: number;
}

const TABLES = [
  "CREATE TABLE IF NOT EXISTS webhook_copy (log TEXT NOT NULL, last INTEGER NOT NULL) STRICT",
  `CREATE TABLE IF NOT EXISTS webhook_starts (
     target TEXT PRIMARY KEY, position INTEGER NOT NULL, at_ms INTEGER NOT NULL
   ) STRICT`,
  "CREATE TABLE IF NOT EXISTS webhook_agent_events (agent TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT",
  `CREATE TABLE IF NOT EXISTS webhook_known_done (
     target TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, status INTEGER, number INTEGER NOT NULL,
     PRIMARY KEY (target, id)
   ) STRICT`,
  "CREATE INDEX IF NOT EXISTS webhook_known_order ON webhook_known_done (number)",
  `CREATE TABLE IF NOT EXISTS webhook_unshared (
     target TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, status INTEGER, at_ms INTEGER NOT NULL,
     PRIMARY KEY (target, id)
   ) STRICT`,
];
const KNOWN = `
  FROM webhook_known_done d JOIN webhook_events e USING (id) WHERE e.event = NEW.event AND d.target = NEW.target`;
/** A delivery that is done here is noted to be shared. One that was done elsewhere is done here as soon as it is added. */
const TRIGGERS = [
  `CREATE TRIGGER IF NOT EXISTS webhook_share AFTER UPDATE OF state ON webhook_deliveries
   WHEN NEW.state NOT IN ('pending', 'sending') AND OLD.state IN ('pending', 'sending') BEGIN
     INSERT OR IGNORE INTO webhook_unshared
     SELECT NEW.target, id, NEW.state, NEW.status, COALESCE(NEW.last_ms, created_ms)
     FROM webhook_events WHERE event = NEW.event AND NOT EXISTS (SELECT 1 ${KNOWN});
   END`,
  `CREATE TRIGGER IF NOT EXISTS webhook_mark_known AFTER INSERT ON webhook_deliveries WHEN EXISTS (SELECT 1 ${KNOWN}) BEGIN
     UPDATE webhook_deliveries SET next_ms = NULL, (state, status) = (SELECT d.state, d.status ${KNOWN})
     WHERE number = NEW.number;
   END`,
];
const WAITING = "state IN ('pending', 'sending')";
const MARK = `
  UPDATE webhook_deliveries SET state = $state, status = $status, next_ms = NULL, last_ms = $at_ms, error = NULL
  WHERE target = $target AND ${WAITING} AND event = (SELECT event FROM webhook_events WHERE id = $id)`;
/** More than wait anywhere. */
const DONE_KEPT = 100_000;

export class QueueCopy {
  readonly #database: Database;
  readonly #queue: WebhookQueue;

  constructor(database: Database) {
    this.#database = database;
    this.#queue = new WebhookQueue(database, QUEUE_LIMITS, () => false);
    for (const statement of [...TABLES, ...TRIGGERS]) database.run(statement);
  }

  get position(): CopyPosition {
    return this.#database.query<CopyPosition, []>("SELECT log, last FROM webhook_copy").get() ?? { log: "", last: 0 };
  }

  /** Makes it a copy of this log, if it was one of another. Deliveries that are done stay done. */
  become(log: string, last: number): void {
    const before = this.position;
    if (before.log !== log) this.#move({ log, last: 0 });
    else if (before.last > last) this.#move({ log, last });
  }

  /** Where the servers with this target have come; null: nobody has had it for a day, after which nothing waits. */
  startOf(target: string, nowMs: number): number | null {
    return (
      this.#database
        .query<{ position: number }, [string, number]>(
          "SELECT position FROM webhook_starts WHERE target = ? AND at_ms > ?",
        )
        .get(target, nowMs - GIVE_UP_MS)?.position ?? null
    );
  }

  /** Every end up to this number is done for the target, at some server; 0: nobody knows of one. */
  doneUpTo(target: string): number {
    return (
      this.#database
        .query<{ position: number }, [string]>("SELECT position FROM webhook_starts WHERE target = ?")
        .get(target)?.position ?? 0
    );
  }

  /** Targets of this server that no server has begun with, at the numbers where it did. */
  unstarted(nowMs: number): readonly Start[] {
    const at_ms = Math.round(nowMs);
    return this.#database
      .query<{ target: string; position: number }, []>(
        "SELECT target, position FROM webhook_targets WHERE target NOT IN (SELECT target FROM webhook_starts)",
      )
      .all()
      .map((row) => ({ kind: "target" as const, ...row, at_ms }));
  }

  /** What became of deliveries here, and is not shared yet. */
  unshared(limit: number): readonly Done[] {
    return this.#database
      .query<Omit<Done, "kind" | "position">, [number]>("SELECT * FROM webhook_unshared LIMIT ?")
      .all(limit)
      .map((row) => ({ kind: "done" as const, ...row, position: this.#doneHere(row.target) }));
  }

  shared(entries: readonly Done[]): void {
    const remove = this.#database.query("DELETE FROM webhook_unshared WHERE target = ? AND id = ?");
    inTransaction(this.#database, () => {
      for (const { target, id } of entries) remove.run(target, id);
    });
  }

  /** The number of the last event of this agent; 0: none is known. */
  lastEventOf(agent: string): number {
    return (
      this.#database
        .query<{ number: number }, [string]>("SELECT number FROM webhook_agent_events WHERE agent = ?")
        .get(agent)?.number ?? 0
    );
  }

  /** All or none. @param last everything up to this number is here then */
  take(entries: readonly NumberedEntry[], last: number, nowMs: number): void {
    inTransaction(this.#database, () => {
      for (const { number, entry } of entries) {
        if (entry.kind === "target") this.#begin(entry);
        else if (entry.kind === "done") this.#mark(number, entry);
        else this.#addEvent(number, entry, nowMs);
      }
      this.#database.query("DELETE FROM webhook_known_done WHERE number <= ?").run(last - DONE_KEPT);
      this.#move({ ...this.position, last });
    });
  }

  /** Two servers may have begun at different numbers: the first one that was shared counts, and no end is left out. */
  #begin({ target, position, at_ms }: Start): void {
    const { changes } = this.#database
      .query("INSERT OR IGNORE INTO webhook_starts VALUES (?, ?, ?)")
      .run(target, position, at_ms);
    if (changes === 0) return;
    this.#database
      .query("UPDATE webhook_targets SET position = MIN(position, ?) WHERE target = ?")
      .run(position, target);
  }

  #mark(number: number, { target, id, state, status, at_ms, position }: Done): void {
    this.#database
      .query("INSERT OR REPLACE INTO webhook_known_done VALUES (?, ?, ?, ?, ?)")
      .run(target, id, state, status, number);
    const { changes } = this.#database.query(MARK).run({ target, id, state, status, at_ms });
    if (changes > 0)
      this.#database.query(`UPDATE webhook_targets SET ${state} = ${state} + 1 WHERE target = ?`).run(target);
    this.#database.query("DELETE FROM webhook_unshared WHERE target = ? AND id = ?").run(target, id);
    this.#database
      .query(
        `INSERT INTO webhook_starts VALUES (?, ?, ?) ON CONFLICT DO UPDATE
         SET position = MAX(position, excluded.position), at_ms = MAX(at_ms, excluded.at_ms)`,
      )
      .run(target, position, at_ms);
  }

  #addEvent(number: number, entry: Extract<QueueEntry, { kind: "agent" }>, nowMs: number): void {
    const { agent, condition, at_ms, event } = entry;
    this.#database.query("INSERT OR REPLACE INTO webhook_agent_events VALUES (?, ?)").run(agent, number);
    // Nobody sends an older one any more.
    const isCurrent = nowMs - at_ms < GIVE_UP_MS;
    this.#queue.addShared({ agent, condition, event: isCurrent ? event : null }, at_ms);
  }

  /** All ends of the target up to this number are done in this queue. */
  #doneHere(target: string): number {
    const waiting = this.#database
      .query<{ number: number | null }, [string]>(
        `SELECT MIN(e.end_number) AS number FROM webhook_deliveries d JOIN webhook_events e USING (event)
         WHERE d.target = ? AND d.${WAITING}`,
      )
      .get(target)?.number;
    if (waiting !== null && waiting !== undefined) return Math.max(0, waiting - 1);
    return (
      this.#database
        .query<{ position: number }, [string]>("SELECT position FROM webhook_targets WHERE target = ?")
        .get(target)?.position ?? 0
    );
  }

  #move({ log, last }: CopyPosition): void {
    this.#database.run("DELETE FROM webhook_copy");
    this.#database.query("INSERT INTO webhook_copy VALUES (?, ?)").run(log, last);
  }
}
