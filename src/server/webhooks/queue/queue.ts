// What webhooks are still to send, in the server's store: each event once for each target, within bounds, over any restart.
import type { Database } from "bun:sqlite";
import { randomUUID } from "node:crypto";
import type { Condition, NewEvent } from "../events.ts";
import type { Target } from "../settings.ts";
import { GIVE_UP_MS } from "./backoff.ts";
import type { SharedQueue } from "./shared_queue.ts";
import { openTables } from "./tables.ts";
import { inTransaction } from "./transactions.ts";

/** An event with its number in the log of ended jobs. */
export interface NumberedEvent extends NewEvent {
  readonly number: number;
}

/** What an agent turned into; without an event when it was unknown before. */
export interface AgentChange {
  readonly agent: string;
  readonly condition: Condition;
  readonly event: NewEvent | null;
}

/** Of each target. */
export const QUEUE_LIMITS = { pending: 1_000, done: 1_000, cleanedEvery: 500 };

/** Of an event that is no end. */
const NO_NUMBER = Number.MAX_SAFE_INTEGER;
const SEEN_EVERY_MS = 600_000;
/** Seen by a server that is running, unless that has died since: within two of its intervals. */
const IS_RECENT = "seen_ms BETWEEN $fromMs AND $toMs";
const SEE = `
  INSERT INTO webhook_servers (server, target, seen_ms) SELECT $server, value, $nowMs FROM json_each($ids) WHERE true
  ON CONFLICT DO UPDATE SET seen_ms = excluded.seen_ms`;
const WAITING = "state IN ('pending', 'sending')";
const DROP = `
  UPDATE webhook_deliveries SET state = 'dropped', next_ms = NULL, error = 'Too many were pending' WHERE number IN (
    SELECT number FROM webhook_deliveries WHERE target = $target AND state = 'pending' ORDER BY number LIMIT MAX(
      0, (SELECT COUNT(*) FROM webhook_deliveries WHERE target = $target AND ${WAITING}) - $most
    )
  )`;
const SKIP = `
  DELETE FROM webhook_deliveries WHERE target = $target AND ${WAITING}
    AND event IN (SELECT event FROM webhook_events WHERE end_number <= $number)`;
/** The one that sends has dropped them before. */
const LEAVE = `
  DELETE FROM webhook_deliveries WHERE number IN (SELECT number FROM webhook_deliveries
    WHERE target = $target AND ${WAITING} ORDER BY number DESC LIMIT -1 OFFSET $most)`;
const CLEAN = `
  DELETE FROM webhook_deliveries WHERE target = $target AND state NOT IN ('pending', 'sending') AND number <= (
    SELECT number FROM webhook_deliveries WHERE target = $target AND state NOT IN ('pending', 'sending')
    ORDER BY number DESC LIMIT 1 OFFSET $most
  )`;
const UNUSED = "NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.event = webhook_events.event)";

/** Several servers may have the store open: each event is added by one of them. */
export class WebhookQueue {
  readonly #database: Database;
  readonly #limits: typeof QUEUE_LIMITS;
  readonly #sends: () => boolean;
  /** This one, among those that have the store open. */
  readonly #server = randomUUID();
  /** Of this server. */
  #targets: readonly string[] = [];
  /** When they were last seen to be in use. */
  #keptMs = 0;
  /** In added events. */
  #untilCleaning = 0;

  /** @param sends whether this server sends now: of several servers with one queue, only the one that does drops events */
  constructor(database: Database, limits = QUEUE_LIMITS, sends: () => boolean = () => true) {
    this.#database = database;
    this.#limits = limits;
    this.#sends = sends;
    openTables(database);
  }

  /**
   * Makes these the targets of this server, in addition to those of another one that is running on the store: someone may
   * start a second one by hand. A new target gets what happens from now on; of one that was there, the queue stays.
   * @param lastEnd the newest number in the log of ended jobs
   * @param others servers that have the same queue; null: none
   */
  configure(
    targets: readonly Target[],
    lastEnd: number,
    nowMs: number,
    others: Pick<SharedQueue, "startOf" | "doneUpTo"> | null = null,
  ): void {
    this.#targets = targets.map(({ id }) => id);
    this.#keptMs = nowMs;
    const isUnused = `target NOT IN (SELECT value FROM json_each($ids)) AND NOT (${IS_RECENT})`;
    inTransaction(this.#database, () => {
      this.#database
        .query(`DELETE FROM webhook_targets WHERE ${isUnused}`)
        .run({ ids: JSON.stringify(this.#targets), ...recent(nowMs) });
      this.#database.query(`DELETE FROM webhook_servers WHERE NOT (${IS_RECENT})`).run(recent(nowMs));
      this.#database.run("DELETE FROM webhook_deliveries WHERE target NOT IN (SELECT target FROM webhook_targets)");
      const add = this.#database.query(
        `INSERT INTO webhook_targets (target, address, position, seen_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET address = excluded.address, gone_ms = NULL, seen_ms = excluded.seen_ms`,
      );
      for (const { id, address } of targets) {
        add.run(id, address, others?.startOf(id) ?? lastEnd, Math.round(nowMs));
        this.#skip(id, others?.doneUpTo(id) ?? 0);
      }
      this.#see(nowMs);
      // Else the first target to come would get the changes of a long time.
      this.#database.run("DELETE FROM webhook_agents WHERE NOT EXISTS (SELECT 1 FROM webhook_targets)");
      this.#database.run(`DELETE FROM webhook_events WHERE ${UNUSED}`);
    });
  }

  /** Shows other servers, now and then, that the targets are in use. */
  keepTargets(nowMs: number): void {
    if (Math.abs(nowMs - this.#keptMs) < SEEN_EVERY_MS) return;
    this.#keptMs = nowMs;
    inTransaction(this.#database, () => this.#see(nowMs));
  }

  /** The next server need not keep the targets that it does not name, unless another one that is running sends to them too. */
  leaveTargets(nowMs: number): void {
    const others = `SELECT target FROM webhook_servers WHERE ${IS_RECENT}`;
    const leave = this.#database.query(
      `UPDATE webhook_targets SET seen_ms = 0
       WHERE target IN (SELECT value FROM json_each($ids)) AND target NOT IN (${others})`,
    );
    inTransaction(this.#database, () => {
      this.#database.query("DELETE FROM webhook_servers WHERE server = ?").run(this.#server);
      leave.run({ ids: JSON.stringify(this.#targets), ...recent(nowMs) });
    });
  }

  /** The number of the last end that every target has. */
  get position(): number {
    const row = this.#database
      .query<{ position: number | null }, []>("SELECT MIN(position) AS position FROM webhook_targets")
      .get();
    return row?.position ?? Number.MAX_SAFE_INTEGER;
  }

  /** Adds ends for the targets that do not have them yet. @returns how many older events were dropped */
  addEnds(ends: readonly NumberedEvent[], nowMs: number): number {
    return this.#adding(() => {
      for (const end of ends) this.#add(end, end.number, nowMs);
      const move = this.#database.query("UPDATE webhook_targets SET position = MAX(position, ?)");
      move.run(ends.at(-1)?.number ?? 0);
    });
  }

  /** The last conditions of the agents. */
  conditions(): ReadonlyMap<string, string> {
    const rows = this.#database.query<{ agent: string; condition: string }, []>(
      "SELECT agent, condition FROM webhook_agents",
    );
    return new Map(rows.all().map(({ agent, condition }) => [agent, condition]));
  }

  /** Adds the event of each agent whose condition is another than before. @returns how many older events were dropped */
  addChanges(changes: readonly AgentChange[], nowMs: number): number {
    const set = this.#database.query(
      `INSERT INTO webhook_agents (agent, condition) VALUES (?, ?)
       ON CONFLICT DO UPDATE SET condition = excluded.condition WHERE condition <> excluded.condition`,
    );
    return this.#adding(() => {
      for (const { agent, condition, event } of changes) {
        // Another server on the same store may have been first.
        const isNew = set.run(agent, condition).changes > 0;
        if (isNew && event !== null) this.#add(event, NO_NUMBER, nowMs);
      }
    });
  }

  /** Adds an event that another server, or this one, has shared. @param nowMs when it was made */
  addShared({ agent, condition, event }: AgentChange, nowMs: number): void {
    this.#adding(() => {
      this.#database
        .query("INSERT OR REPLACE INTO webhook_agents (agent, condition) VALUES (?, ?)")
        .run(agent, condition);
      if (event !== null) this.#add(event, NO_NUMBER, nowMs);
    });
  }

  /** An agent that comes back after that is a new one. */
  forgetAgents(agents: readonly string[]): void {
    const forget = this.#database.query("DELETE FROM webhook_agents WHERE agent IN (SELECT value FROM json_each(?))");
    forget.run(JSON.stringify(agents));
  }

  /** A server of the release before reads only the time of the target. */
  #see(atMs: number): void {
    const [nowMs, ids] = [Math.round(atMs), JSON.stringify(this.#targets)];
    this.#database
      .query("UPDATE webhook_targets SET seen_ms = ? WHERE target IN (SELECT value FROM json_each(?))")
      .run(nowMs, ids);
    this.#database.query(SEE).run({ server: this.#server, nowMs, ids });
  }

  /** With what keeps the bounds, all or nothing. */
  #adding(add: () => void): number {
    return inTransaction(this.#database, () => {
      add();
      const dropped = this.#all().reduce((sum, target) => sum + this.#drop(target), 0);
      this.#cleanAt();
      return dropped;
    });
  }

  /** @param number only for targets with a lower position */
  #add({ id, type, subject, body }: NewEvent, number: number, nowMs: number): void {
    this.#untilCleaning -= 1;
    const createdMs = Math.round(nowMs);
    const row = this.#database
      .query<{ event: number }, [string, string, string, number, string, number | null]>(
        `INSERT INTO webhook_events (id, type, subject, created_ms, body, end_number) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING event`,
      )
      .get(id, type, subject, createdMs, body, number === NO_NUMBER ? null : number);
    this.#database
      .query(
        `INSERT OR IGNORE INTO webhook_deliveries (target, event, subject, state, next_ms, give_up_ms)
         SELECT target, ?, ?, 'pending', ?, ? FROM webhook_targets WHERE gone_ms IS NULL AND position < ?`,
      )
      .run(row?.event ?? 0, subject, createdMs, createdMs + GIVE_UP_MS, number);
  }

  /** Others have done the ends up to this number, perhaps so long ago that nothing else shows it. */
  #skip(target: string, number: number): void {
    this.#database.query("UPDATE webhook_targets SET position = MAX(position, ?) WHERE target = ?").run(number, target);
    this.#database.query(SKIP).run({ target, number });
  }

  #drop(target: string): number {
    if (!this.#sends()) {
      this.#database.query(LEAVE).run({ target, most: 2 * this.#limits.pending });
      return 0;
    }
    const { changes } = this.#database.query(DROP).run({ target, most: this.#limits.pending });
    if (changes > 0)
      this.#database.query("UPDATE webhook_targets SET dropped = dropped + ? WHERE target = ?").run(changes, target);
    return changes;
  }

  #cleanAt(): void {
    if (this.#untilCleaning > 0) return;
    this.#untilCleaning = this.#limits.cleanedEvery;
    for (const target of this.#all()) this.#database.query(CLEAN).run({ target, most: this.#limits.done });
    this.#database.run(`DELETE FROM webhook_events WHERE ${UNUSED}`);
  }

  #all(): readonly string[] {
    const rows = this.#database.query<{ target: string }, []>("SELECT target FROM webhook_targets").all();
    return rows.map(({ target }) => target);
  }
}

function recent(nowMs: number): { readonly fromMs: number; readonly toMs: number } {
  return { fromMs: nowMs - 2 * SEEN_EVERY_MS, toMs: nowMs + SEEN_EVERY_MS };
}
