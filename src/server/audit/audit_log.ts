// The table of the audit: changes and refusals with their senders, within bounds of its own.
import type { Database } from "bun:sqlite";
import { type Clock, isoTime } from "../../base/clock.ts";
import { AuditEntry, type Dropped } from "../../documents/audit.ts";
import { fairShare } from "./fair_share.ts";
import type { NewEntry } from "./new_entry.ts";
import { openTables, SENDER_ACCOUNT } from "./schema.ts";
import { shownNumbers } from "./waiting_numbers.ts";

/** Undefined: all. */
export interface AuditFilter {
  readonly sinceMs?: number | undefined;
  /** Without this moment itself. */
  readonly untilMs?: number | undefined;
  readonly who?: string | undefined;
  readonly agent?: string | undefined;
  readonly verb?: string | undefined;
  readonly outcome?: string | undefined;
}

export interface AuditPage {
  readonly limit: number;
  /** Only older entries than the one with this number. */
  readonly before?: number | undefined;
}

/**
 * Refused requests have their own bound, so that a caller who may do nothing cannot push out what others did. Within a bound
 * the senders with the most entries lose theirs first, so that no sender pushes out what others did. Together, and with those
 * that are written between two cleanups, at most 100,000.
 */
export const AUDIT_LIMITS = { keptMs: 90 * 86_400_000, changes: 89_000, refused: 9_900, cleanedEvery: 1_000 };

const KIND = "is_refused = ?1";
const SENDER = `${KIND} AND way IS ?2 AND ${SENDER_ACCOUNT} IS ?3`;
const FROM_NEWEST = "ORDER BY number DESC LIMIT 1 OFFSET";

interface Sender {
  readonly way: string | null;
  readonly account: string | null;
  readonly entries: number;
}

const CLEANED_EVERY_MS = 3_600_000;

const INSERT = `
  INSERT INTO audit (
    at_ms, is_refused, request, request_id, who, way, peer, verb, agent, model, details, outcome, job, key, account
  ) VALUES (
    $at_ms, $is_refused, $request, $request_id, $who, $way, $peer, $verb, $agent, $model, $details, $outcome, $job, $key, $account
  ) RETURNING number`;

const SELECT = `
  SELECT * FROM audit
  WHERE at_ms >= $sinceMs AND at_ms < $untilMs AND number < $before
    AND ($who IS NULL OR who = $who) AND ($agent IS NULL OR agent = $agent)
    AND ($verb IS NULL OR verb = $verb) AND ($outcome IS NULL OR outcome = $outcome)
  ORDER BY number DESC LIMIT $limit`;

/** Several processes may have it open: each sees at once what another writes. */
export class AuditLog {
  readonly #database: Database;
  readonly #clock: Pick<Clock, "now">;
  readonly #limits: typeof AUDIT_LIMITS;
  #untilCleaning = 0;
  #cleanedAtMs = 0;

  constructor(database: Database, clock: Pick<Clock, "now">, limits = AUDIT_LIMITS) {
    this.#database = database;
    this.#clock = clock;
    this.#limits = limits;
    openTables(database);
  }

  /**
   * Adds an entry. Returns before the disk has it: a crash of this process loses nothing, a power failure may lose the last.
   * @param account whose share of the bounds it uses, among the senders of one way; null: that of the sender's name
   * @returns its number
   */
  add(entry: NewEntry, account: string | null = null): number {
    const nowMs = this.#clock.now();
    const isRefused = entry.verb === null && entry.outcome !== "ok";
    const row = { at_ms: Math.round(nowMs), is_refused: isRefused ? 1 : 0, account, ...entry };
    return this.#quickly(() => {
      const added = this.#database.query<{ number: number }, typeof row>(INSERT).get(row);
      this.#cleanAt(nowMs, 1);
      return added?.number ?? 0;
    });
  }

  /** Keeps the bounds after so many entries were added in another way. */
  tidy(added: number): void {
    this.#quickly(() => this.#cleanAt(this.#clock.now(), added));
  }

  /** Adds the outcome of a command to its entry. */
  end(number: number, outcome: string, job: string | null): void {
    const update = this.#database.query("UPDATE audit SET outcome = ?, job = ? WHERE number = ?");
    this.#quickly(() => update.run(outcome, job, number));
  }

  /** The newest first. */
  read(filter: AuditFilter, { limit, before = Number.MAX_SAFE_INTEGER }: AuditPage): readonly AuditEntry[] {
    const { who = null, agent = null, verb = null, outcome = null } = filter;
    const { sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER } = filter;
    const oldestMs = this.#clock.now() - this.#limits.keptMs;
    const period = { sinceMs: Math.max(sinceMs, oldestMs), untilMs };
    const shown = shownNumbers(this.#database);
    const rows = this.#database
      .query<Record<string, unknown> & { at_ms: number; number: number }, Record<string, string | number | null>>(
        SELECT,
      )
      .all({ ...period, who, agent, verb, outcome, before: shown.before(before), limit });
    return rows.map((row) => AuditEntry.parse({ ...row, number: shown.number(row.number), at: isoTime(row.at_ms) }));
  }

  /** The agents that were asked for a pull and answered with this job, the first one first. */
  askedFor(job: string): readonly string[] {
    const rows = this.#database.query<{ agent: string }, [string]>(
      "SELECT agent FROM audit WHERE job = ? AND verb = 'pull_model' AND agent IS NOT NULL ORDER BY number",
    );
    return rows.all(job).map(({ agent }) => agent);
  }

  /** Counts the entries that were too old or too many to be kept. */
  dropped(): readonly Dropped[] {
    const rows = this.#database.query<{ is_refused: number; entries: number; until_ms: number }, []>(
      "SELECT is_refused, entries, until_ms FROM audit_dropped ORDER BY is_refused",
    );
    return rows
      .all()
      .map(({ is_refused, entries, until_ms }) => ({ refused: is_refused === 1, entries, until: isoTime(until_ms) }));
  }

  /** A commit that waits for the disk blocks all requests for some ms: measured 4 ms, without waiting 0.05. */
  #quickly<Result>(write: () => Result): Result {
    this.#database.run("PRAGMA synchronous = NORMAL");
    try {
      return write();
    } finally {
      this.#database.run("PRAGMA synchronous = FULL");
    }
  }

  #cleanAt(nowMs: number, added: number): void {
    this.#untilCleaning -= added;
    const isDue = this.#untilCleaning < 0 || nowMs - this.#cleanedAtMs >= CLEANED_EVERY_MS;
    if (!isDue) return;
    const { keptMs, changes, refused, cleanedEvery } = this.#limits;
    this.#untilCleaning = cleanedEvery - 1;
    this.#cleanedAtMs = nowMs;
    const clean = this.#database.transaction(() => {
      for (const [kind, kept] of [changes, refused].entries()) {
        this.#drop("is_refused = ? AND at_ms < ?", kind, Math.round(nowMs - keptMs));
        this.#dropFairly(kind, kept);
        this.#drop(`${KIND} AND number <= (SELECT number FROM audit WHERE ${KIND} ${FROM_NEWEST} ?2)`, kind, kept);
      }
    });
    clean();
  }

  #dropFairly(kind: number, kept: number): void {
    const senders = this.#database
      .query<Sender, [number]>(
        `SELECT way, ${SENDER_ACCOUNT} AS account, COUNT(*) AS entries FROM audit WHERE ${KIND} GROUP BY 1, 2`,
      )
      .all(kind);
    const share = fairShare(
      senders.map(({ entries }) => entries),
      kept,
    );
    for (const { way, account, entries } of senders)
      if (entries > share)
        this.#drop(
          `${SENDER} AND number <= (SELECT number FROM audit WHERE ${SENDER} ${FROM_NEWEST} ?4)`,
          kind,
          way,
          account,
          share,
        );
  }

  /** @param which of one kind; @param kind 1: refused requests */
  #drop(which: string, kind: number, ...bounds: (number | string | null)[]): void {
    const found = this.#database
      .query<{ entries: number; until_ms: number | null }, [number, ...(number | string | null)[]]>(
        `SELECT COUNT(*) AS entries, MAX(at_ms) AS until_ms FROM audit WHERE ${which}`,
      )
      .get(kind, ...bounds);
    if (found === null || found.until_ms === null) return;
    this.#database.query(`DELETE FROM audit WHERE ${which}`).run(kind, ...bounds);
    this.#database
      .query(
        `INSERT INTO audit_dropped (is_refused, entries, until_ms) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
         SET entries = entries + excluded.entries, until_ms = MAX(until_ms, excluded.until_ms)`,
      )
      .run(kind, found.entries, found.until_ms);
  }
}
