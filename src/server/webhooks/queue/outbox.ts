// The deliveries of webhooks on their way: which one is next for a target, and what became of an attempt.
import type { Database } from "bun:sqlite";
import { backoffMs, GIVE_UP_MS } from "./backoff.ts";
import { inTransaction, quickly } from "./transactions.ts";

/** A delivery that is the caller's to send. */
export interface Claimed {
  readonly number: number;
  readonly id: string;
  readonly type: string;
  readonly body: string;
}

export interface Failure {
  /** Null: there was no response. */
  readonly status: number | null;
  readonly error: string;
  /** When the attempt began. */
  readonly beganMs: number;
  /** As the receiver asks for; 0: it does not. */
  readonly retryAfterMs: number;
}

export interface Standing {
  /** Attempts without success, one after the other. */
  readonly failures: number;
  readonly pausedUntilMs: number;
  readonly isGone: boolean;
}

interface TargetRow {
  readonly failures: number;
  readonly paused_until_ms: number;
  readonly gone_ms: number | null;
}

/** Longer than any attempt: after it, a delivery whose sender has died is sent again. */
export const CLAIM_MS = 60_000;
/** A time that is later was written under a wrong clock, and is over. */
const FARTHEST_MS = GIVE_UP_MS + CLAIM_MS;
const GONE = "The receiver wants no more events";

const WAITING = "state IN ('pending', 'sending')";
/** No earlier event with the same subject waits. */
const IN_ORDER = `NOT EXISTS (
  SELECT 1 FROM webhook_deliveries e WHERE e.target = d.target AND e.subject = d.subject AND e.number < d.number AND e.${WAITING}
)`;
/** Those with fewer attempts come first, so that an event that the receiver always refuses stops no other. */
const CLAIM = `
  UPDATE webhook_deliveries SET state = 'sending', attempts = attempts + 1, next_ms = $untilMs WHERE number = (
    SELECT number FROM webhook_deliveries d
    WHERE target = $target AND ${WAITING} AND (next_ms <= $nowMs OR next_ms > $farthestMs) AND ${IN_ORDER}
    ORDER BY attempts, number LIMIT 1
  ) RETURNING number, event`;
const FAIL = `
  UPDATE webhook_deliveries SET state = 'pending', next_ms = MIN(?, give_up_ms), last_ms = ?, status = ?, error = ?
  WHERE number = ? AND state = 'sending'`;
const GIVE_UP = `
  UPDATE webhook_deliveries SET state = 'failed', next_ms = NULL
  WHERE target = ? AND ${WAITING} AND attempts > 0 AND give_up_ms <= ? AND next_ms <= ?`;

export class Outbox {
  readonly #database: Database;
  readonly #random: () => number;

  /** @param random from 0 to 1 */
  constructor(database: Database, random: () => number = Math.random) {
    this.#database = database;
    this.#random = random;
  }

  standing(target: string, nowMs: number): Standing {
    const row = this.#database
      .query<TargetRow, [string]>("SELECT failures, paused_until_ms, gone_ms FROM webhook_targets WHERE target = ?")
      .get(target);
    const { failures = 0, paused_until_ms = 0, gone_ms = null } = row ?? {};
    return { failures, pausedUntilMs: believable(paused_until_ms, nowMs), isGone: gone_ms !== null };
  }

  /** The next delivery that is due. It is the caller's for a minute. Null: there is no such delivery now. */
  claim(target: string, nowMs: number): Claimed | null {
    const times = { nowMs, untilMs: Math.round(nowMs) + CLAIM_MS, farthestMs: nowMs + FARTHEST_MS };
    return quickly(this.#database, () => {
      const claimed = this.#database
        .query<{ number: number; event: number }, Record<string, string | number>>(CLAIM)
        .get({ target, ...times });
      if (claimed === null) return null;
      const event = this.#database
        .query<Omit<Claimed, "number">, [number]>("SELECT id, type, body FROM webhook_events WHERE event = ?")
        .get(claimed.event);
      return event && { number: claimed.number, ...event };
    });
  }

  /** When the next delivery is due, also if that is long ago; null: none waits. */
  nextMs(target: string, nowMs: number): number | null {
    const row = this.#database
      .query<{ next_ms: number | null }, [string]>(
        `SELECT MIN(next_ms) AS next_ms FROM webhook_deliveries d WHERE target = ? AND ${WAITING} AND ${IN_ORDER}`,
      )
      .get(target);
    const nextMs = row?.next_ms ?? null;
    return nextMs && believable(nextMs, nowMs);
  }

  delivered(target: string, number: number, status: number, nowMs: number): void {
    quickly(this.#database, () => {
      this.#end(number, "delivered", { status, error: null }, nowMs);
      this.#database
        .query(
          "UPDATE webhook_targets SET delivered = delivered + 1, failures = 0, paused_until_ms = 0 WHERE target = ?",
        )
        .run(target);
    });
  }

  /** Another attempt follows; the target gets nothing until its pause is over, which grows with its failures. */
  failed(target: string, number: number, failure: Failure, nowMs: number): void {
    const { status, error, retryAfterMs } = failure;
    quickly(this.#database, () => {
      const row = this.#database
        .query<{ attempts: number }, [number]>("SELECT attempts FROM webhook_deliveries WHERE number = ?")
        .get(number);
      const pauseMs = Math.max(backoffMs(row?.attempts ?? 1, this.#random()), retryAfterMs);
      this.#database.query(FAIL).run(Math.round(nowMs + pauseMs), Math.round(nowMs), status, error, number);
      this.#pause(target, failure, nowMs);
    });
  }

  /** Nobody knows what became of the attempt: it is made again. */
  release(number: number, nowMs: number): void {
    this.#database
      .query("UPDATE webhook_deliveries SET state = 'pending', next_ms = ? WHERE number = ? AND state = 'sending'")
      .run(Math.round(nowMs), number);
  }

  /** Ends all that waits for the target, which gets no events until `WebhookQueue.configure()`. */
  gone(target: string, number: number, status: number, nowMs: number): void {
    inTransaction(this.#database, () => {
      this.#end(number, "failed", { status, error: GONE }, nowMs);
      const rest = this.#database
        .query(
          `UPDATE webhook_deliveries SET state = 'failed', next_ms = NULL, error = ? WHERE target = ? AND ${WAITING}`,
        )
        .run(GONE, target);
      this.#database
        .query("UPDATE webhook_targets SET gone_ms = ?, failed = failed + ? WHERE target = ?")
        .run(Math.round(nowMs), rest.changes + 1, target);
    });
  }

  /** Gives up what was refused for 24 h. @returns how many there were */
  giveUp(target: string, nowMs: number): number {
    return inTransaction(this.#database, () => {
      const { changes } = this.#database.query(GIVE_UP).run(target, nowMs, nowMs);
      if (changes > 0)
        this.#database.query("UPDATE webhook_targets SET failed = failed + ? WHERE target = ?").run(changes, target);
      return changes;
    });
  }

  #end(
    number: number,
    state: string,
    { status, error }: Pick<Failure, "status"> & { error: string | null },
    nowMs: number,
  ): void {
    this.#database
      .query(
        "UPDATE webhook_deliveries SET state = ?, next_ms = NULL, last_ms = ?, status = ?, error = ? WHERE number = ?",
      )
      .run(state, Math.round(nowMs), status, error, number);
  }

  /** Attempts that were under way together are one failure. */
  #pause(target: string, { beganMs, retryAfterMs }: Failure, nowMs: number): void {
    const before = this.standing(target, nowMs);
    const isNew = before.pausedUntilMs <= beganMs;
    const failures = before.failures + (isNew ? 1 : 0);
    const pauseMs = Math.max(isNew ? backoffMs(failures, this.#random()) : 0, retryAfterMs);
    const untilMs = Math.round(Math.max(nowMs + pauseMs, before.pausedUntilMs));
    this.#database
      .query("UPDATE webhook_targets SET failures = ?, paused_until_ms = ? WHERE target = ?")
      .run(failures, untilMs, target);
  }
}

function believable(atMs: number, nowMs: number): number {
  return atMs > nowMs + FARTHEST_MS ? nowMs : atMs;
}
