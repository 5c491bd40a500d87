// The tables of webhooks in the server's store: the targets, the events, and the delivery of each event to each target.
import type { Database } from "bun:sqlite";
import { isoTime } from "../../../base/clock.ts";
import type { DeliveryDocument, DeliveryState, TargetDocument } from "../documents.ts";

/** Earlier releases ignore the tables, so the schema's version stays. */
const SCHEMA = `
   CREATE TABLE IF NOT EXISTS webhook_targets (
    target TEXT PRIMARY KEY, address TEXT NOT NULL, position INTEGER NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, paused_until_ms INTEGER NOT NULL DEFAULT 0,
    gone_ms INTEGER, seen_ms INTEGER NOT NULL
  ) STRICT;
   CREATE TABLE IF NOT EXISTS webhook_events (
    event INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, subject TEXT NOT NULL,
    created_ms INTEGER NOT NULL, body TEXT NOT NULL
  ) STRICT;
   CREATE TABLE IF NOT EXISTS webhook_deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, event INTEGER NOT NULL, subject TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_ms INTEGER, give_up_ms INTEGER NOT NULL,
    last_ms INTEGER, status INTEGER, error TEXT, UNIQUE (event, target)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS webhook_waiting ON webhook_deliveries (target, attempts, number)
    WHERE state IN ('pending', 'sending');
  CREATE INDEX IF NOT EXISTS webhook_order ON webhook_deliveries (target, subject, number)
    WHERE state IN ('pending', 'sending');
  CREATE INDEX IF NOT EXISTS webhook_done ON webhook_deliveries (target, number)
    WHERE state NOT IN ('pending', 'sending');
   CREATE TABLE IF NOT EXISTS webhook_agents (agent TEXT PRIMARY KEY, condition TEXT NOT NULL) STRICT;
   CREATE TABLE IF NOT EXISTS webhook_servers (
    server TEXT NOT NULL, target TEXT NOT NULL, seen_ms INTEGER NOT NULL, PRIMARY KEY (server, target)
  ) STRICT;`;

/** Earlier releases name the columns that they write, so they ignore the number of the end. */
export function openTables(database: Database): void {
  database.run(SCHEMA);
  const columns = database.query("SELECT 1 FROM pragma_table_info('webhook_events') WHERE name = 'end_number'");
  const add = database.transaction(() => {
    // Another process may have been first.
    if (columns.get() === null) database.run("ALTER TABLE webhook_events ADD COLUMN end_number INTEGER");
  });
  if (columns.get() === null) add.immediate();
}

/** Undefined: all. */
export interface DeliveryFilter {
  readonly target?: string | undefined;
  readonly state?: DeliveryState | undefined;
  readonly type?: string | undefined;
}

export interface DeliveryPage {
  readonly limit: number;
  /** Only older ones than the one with this number. */
  readonly before?: number | undefined;
}

interface TargetRow extends Omit<TargetDocument, "paused_until" | "gone_at"> {
  readonly paused_until_ms: number;
  readonly gone_ms: number | null;
}

interface DeliveryRow extends Omit<DeliveryDocument, "created_at" | "last_attempt_at" | "next_attempt_at"> {
  readonly created_ms: number;
  readonly last_ms: number | null;
  readonly next_ms: number | null;
}

export class WebhookTables {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    openTables(database);
  }

  targets(nowMs: number): readonly TargetDocument[] {
    const rows = this.#database.query<TargetRow, []>(
      `SELECT target, address, delivered, failed, dropped, failures, paused_until_ms, gone_ms, (
         SELECT COUNT(*) FROM webhook_deliveries d WHERE d.target = t.target AND d.state IN ('pending', 'sending')
       ) AS pending FROM webhook_targets t ORDER BY address, target`,
    );
    return rows.all().map(({ paused_until_ms, gone_ms, ...row }) => ({
      ...row,
      paused_until: paused_until_ms > nowMs ? isoTime(paused_until_ms) : null,
      gone_at: timeOrNull(gone_ms),
    }));
  }

  /** The newest first. */
  deliveries(filter: DeliveryFilter, page: DeliveryPage): readonly DeliveryDocument[] {
    const { target = null, state = null, type = null } = filter;
    const { limit, before = Number.MAX_SAFE_INTEGER } = page;
    const rows = this.#database.query<DeliveryRow, Record<string, string | number | null>>(
      `SELECT number, id, type, subject, target, COALESCE(address, '') AS address, state, attempts,
         created_ms, last_ms, status AS last_status, error, next_ms
       FROM webhook_deliveries JOIN webhook_events USING (event, subject) LEFT JOIN webhook_targets USING (target)
       WHERE number < $before AND ($target IS NULL OR target = $target)
         AND ($state IS NULL OR state = $state) AND ($type IS NULL OR type = $type)
       ORDER BY number DESC LIMIT $limit`,
    );
    return rows.all({ target, state, type, before, limit }).map(({ created_ms, last_ms, next_ms, ...row }) => ({
      ...row,
      created_at: isoTime(created_ms),
      last_attempt_at: timeOrNull(last_ms),
      next_attempt_at: timeOrNull(next_ms),
    }));
  }
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}
