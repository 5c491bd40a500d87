// The log of ended jobs. Each end has one permanent number, so that a listener that reconnects continues where it was.
import type { Database } from "bun:sqlite";
import type { Clock } from "../../base/clock.ts";
import { isEnded, Job } from "../../protocol.ts";

/** An end with its number; numbers only go up. */
export interface EndedJob {
  readonly number: number;
  readonly job: Job;
}

interface Row {
  readonly number: number;
  readonly job: string;
}

interface LogRow {
  readonly id: string;
  readonly since_ms: number;
  readonly forgotten: number;
}

/** At least this many ends are kept, and never more than twice as many; of long ones fewer. */
const KEPT = 10_000;
const KEPT_BYTES = 8 * 1024 * 1024;
/** A log that begins later than this from now was spoiled by a clock that was wrong. */
const SPOILED_MS = 3_600_000;
/** The beginning of a log that has not begun: no job ended later. */
const NOT_BEGUN_MS = Number.MAX_SAFE_INTEGER;

/** Stored in the server's database: an end that was delivered before a restart is still known after it. */
export class EndedJobs {
  /** Identifies this log: the numbers of another log mean nothing here. */
  readonly id: string;
  readonly #database: Database;
  readonly #clock: Pick<Clock, "now">;
  readonly #known = new Set<string>();
  #sinceMs: number;
  #forgotten: number;
  #last: number;
  #bytes: number;

  /** @param clock the transport's, as everywhere here */
  constructor(database: Database, clock: Pick<Clock, "now">) {
    this.#database = database;
    this.#clock = clock;
    const log = openLogRow(database);
    this.id = log.id;
    this.#sinceMs = log.since_ms;
    this.#forgotten = log.forgotten;
    this.#last = log.forgotten;
    const rows = database.query<{ number: number; id: string }, []>(
      "SELECT number, id FROM ended_jobs ORDER BY number",
    );
    for (const { number, id } of rows.all()) {
      this.#known.add(id);
      this.#last = number;
    }
    this.#bytes = bytesOf(database);
  }

  /** Begins a new log; one that has begun is unchanged. No end is news before. @param nowMs on the transport's clock */
  begin(nowMs: number): void {
    if (this.#sinceMs <= nowMs + SPOILED_MS) return;
    // Another server on the same store may have been first.
    const begin = this.#database.query<Pick<LogRow, "since_ms">, [number]>(
      "UPDATE ended_jobs_log SET since_ms = MIN(since_ms, ?) RETURNING since_ms",
    );
    this.#sinceMs = begin.get(Math.round(nowMs))?.since_ms ?? this.#sinceMs;
  }

  /** The newest number; 0 in an empty log. */
  get last(): number {
    return this.#last;
  }

  /**
   * The jobs whose end belongs in the log and is not there yet, in the order of their ends. A job that ended before the log
   * began does not belong there.
   * @param clockOffsetMs the transport's clock minus the jobs' clock
   */
  news(jobs: readonly Job[], clockOffsetMs = 0): readonly Job[] {
    const news = jobs.filter((job) => {
      if (job.id === null || !isEnded(job) || this.#known.has(job.id)) return false;
      return job.ended_at === null || endedMs(job) + clockOffsetMs >= this.#sinceMs;
    });
    return news.toSorted((a, b) => endedMs(a) - endedMs(b));
  }

  /** Gives each new end the next number. @returns whether there was a new end */
  add(jobs: readonly Job[], clockOffsetMs = 0): boolean {
    const news = this.news(jobs, clockOffsetMs);
    if (news.length === 0) return false;
    const nowMs = this.#clock.now();
    const texts = news.map((job) => JSON.stringify(job));
    const insert = this.#database.query<null, [string | null, number, string]>(
      "INSERT OR IGNORE INTO ended_jobs (id, ended_ms, job) VALUES (?, ?, ?)",
    );
    const insertAll = this.#database.transaction(() => {
      for (const [index, job] of news.entries()) {
        // Else the log could begin in the far future, once this end is forgotten.
        const atMs = Math.max(0, Math.min(endedMs(job) + clockOffsetMs, nowMs));
        insert.run(job.id, Math.round(atMs), texts[index] ?? "");
      }
    });
    insertAll();
    // Another server on the same store may have added the end first, with its own number.
    const newest = this.#database.query<{ number: number | null }, []>("SELECT MAX(number) AS number FROM ended_jobs");
    this.#last = newest.get()?.number ?? this.#last;
    for (const { id } of news) this.#known.add(id ?? "");
    for (const text of texts) this.#bytes += Buffer.byteLength(text);
    if (this.#known.size >= 2 * KEPT || this.#bytes >= 2 * KEPT_BYTES) this.#forget(this.#lastToForget());
    return true;
  }

  /** At most `limit` ends with higher numbers, in order. */
  after(number: number, limit: number): readonly EndedJob[] {
    if (number >= this.#last) return [];
    return this.#database
      .query<Row, [number, number]>("SELECT number, job FROM ended_jobs WHERE number > ? ORDER BY number LIMIT ?")
      .all(number, limit)
      .map((row) => ({ number: row.number, job: Job.parse(JSON.parse(row.job)) }));
  }

  /** Whether every end with a higher number is still kept. */
  reaches(number: number): boolean {
    return number >= this.#forgotten && number <= this.#last;
  }

  /** One end, by its job's id. Undefined when it is not kept, or no longer. */
  find(id: string): EndedJob | undefined {
    if (!this.#known.has(id)) return undefined;
    const row = this.#database.query<Row, [string]>("SELECT number, job FROM ended_jobs WHERE id = ?").get(id);
    return row === null ? undefined : { number: row.number, job: Job.parse(JSON.parse(row.job)) };
  }

  /** The ends after it are at most `KEPT`, and have at most `KEPT_BYTES`. */
  #lastToForget(): number {
    const rows = this.#database.query<{ number: number; bytes: number }, [number]>(
      "SELECT number, octet_length(job) AS bytes FROM ended_jobs ORDER BY number DESC LIMIT ?",
    );
    let [kept, bytes] = [this.#last, 0];
    for (const row of rows.all(KEPT)) {
      bytes += row.bytes;
      if (bytes > KEPT_BYTES) break;
      kept = row.number - 1;
    }
    return kept;
  }

  /** The log then begins after the newest end that was removed, so that an agent whose state still shows it brings no news. */
  #forget(upTo: number): void {
    const nowMs = Math.round(this.#clock.now());
    const forget = this.#database.transaction(() => {
      const rows = this.#database
        .query<{ id: string; ended_ms: number }, [number]>(
          "DELETE FROM ended_jobs WHERE number <= ? RETURNING id, ended_ms",
        )
        .all(upTo);
      // Earlier releases stored an end as late as its agent said.
      this.#sinceMs = rows.reduce(
        (since, { ended_ms }) => Math.max(since, Math.min(ended_ms, nowMs) + 1),
        this.#sinceMs,
      );
      this.#database.query("UPDATE ended_jobs_log SET since_ms = ?, forgotten = ?").run(this.#sinceMs, upTo);
      return rows;
    });
    for (const { id } of forget()) this.#known.delete(id);
    this.#bytes = bytesOf(this.#database);
    this.#forgotten = upTo;
  }
}

function openLogRow(database: Database): LogRow {
  const open = database.transaction((): LogRow => {
    const found = database.query<LogRow, []>("SELECT id, since_ms, forgotten FROM ended_jobs_log").get();
    if (found !== null) return found;
    const made: LogRow = { id: crypto.randomUUID().slice(0, 8), since_ms: NOT_BEGUN_MS, forgotten: 0 };
    database
      .query("INSERT INTO ended_jobs_log (id, since_ms, forgotten) VALUES (?, ?, ?)")
      .run(made.id, made.since_ms, made.forgotten);
    return made;
  });
  return open.immediate();
}

function bytesOf(database: Database): number {
  const sum = database.query<{ bytes: number }, []>("SELECT TOTAL(octet_length(job)) AS bytes FROM ended_jobs");
  return sum.get()?.bytes ?? 0;
}

/** On the clock of the job's machine; 0 when the job has no such time. */
function endedMs({ ended_at }: Job): number {
  return Date.parse(ended_at ?? "") || 0;
}
