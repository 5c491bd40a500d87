// The log of ended jobs: each end gets one number, for good, so that a listener who comes back goes on where it was.
// Imports the protocol.
import type { Database } from "bun:sqlite";
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

/** So many ends at least are kept; twice as many are never exceeded. */
const KEPT = 10_000;
/** The beginning of a log that has not begun: nothing ended after it. */
const NOT_BEGUN_MS = Number.MAX_SAFE_INTEGER;

/** In the server's store, so it outlives the server: an end that was told before a restart is known after it. */
export class EndedJobs {
  /** Tells this log from every other: numbers of another mean nothing here. */
  readonly id: string;
  readonly #database: Database;
  readonly #known = new Set<string>();
  #sinceMs: number;
  #forgotten: number;
  #last: number;

  constructor(database: Database) {
    this.#database = database;
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
  }

  /** Begins a new log; no other. Until then there is no news. @param nowMs by the transport's clock, as all here */
  begin(nowMs: number): void {
    if (this.#sinceMs !== NOT_BEGUN_MS) return;
    // Another server on the same store may have been first.
    const begin = this.#database.query<Pick<LogRow, "since_ms">, [number]>(
      "UPDATE ended_jobs_log SET since_ms = MIN(since_ms, ?) RETURNING since_ms",
    );
    this.#sinceMs = begin.get(Math.round(nowMs))?.since_ms ?? this.#sinceMs;
  }

  /** The newest number; 0: none yet. */
  get last(): number {
    return this.#last;
  }

  /**
   * Those whose end is not in the log and belongs there: what ended before the log began does not.
   * @param clockOffsetMs what to add to the jobs' clock to have the transport's
   */
  news(jobs: readonly Job[], clockOffsetMs = 0): readonly Job[] {
    return jobs.filter((job) => {
      if (job.id === null || !isEnded(job) || this.#known.has(job.id)) return false;
      return job.ended_at === null || endedMs(job) + clockOffsetMs >= this.#sinceMs;
    });
  }

  /** Gives each end that is news the next number. @returns whether there was any */
  add(jobs: readonly Job[], clockOffsetMs = 0): boolean {
    const news = this.news(jobs, clockOffsetMs).toSorted((a, b) => endedMs(a) - endedMs(b));
    if (news.length === 0) return false;
    const insert = this.#database.query<null, [string | null, number, string]>(
      "INSERT OR IGNORE INTO ended_jobs (id, ended_ms, job) VALUES (?, ?, ?)",
    );
    const insertAll = this.#database.transaction(() => {
      for (const job of news) insert.run(job.id, Math.round(endedMs(job) + clockOffsetMs), JSON.stringify(job));
    });
    insertAll();
    // Another server on the same store may have been first: the number is what it is.
    const newest = this.#database.query<{ number: number | null }, []>("SELECT MAX(number) AS number FROM ended_jobs");
    this.#last = newest.get()?.number ?? this.#last;
    for (const { id } of news) this.#known.add(id ?? "");
    if (this.#known.size >= 2 * KEPT) this.#forget(this.#last - KEPT);
    return true;
  }

  /** The ends above a number, in order, at most `limit`. */
  after(number: number, limit: number): readonly EndedJob[] {
    if (number >= this.#last) return [];
    return this.#database
      .query<Row, [number, number]>("SELECT number, job FROM ended_jobs WHERE number > ? ORDER BY number LIMIT ?")
      .all(number, limit)
      .map((row) => ({ number: row.number, job: Job.parse(JSON.parse(row.job)) }));
  }

  /** Whether every end above the number is still there. */
  reaches(number: number): boolean {
    return number >= this.#forgotten && number <= this.#last;
  }

  /** One end, by its job's id. Undefined: not here, or no longer. */
  find(id: string): EndedJob | undefined {
    if (!this.#known.has(id)) return undefined;
    const row = this.#database.query<Row, [string]>("SELECT number, job FROM ended_jobs WHERE id = ?").get(id);
    return row === null ? undefined : { number: row.number, job: Job.parse(JSON.parse(row.job)) };
  }

  /** The log then begins after the youngest that was forgotten: an agent that still tells of them tells nothing new. */
  #forget(upTo: number): void {
    const forget = this.#database.transaction(() => {
      const rows = this.#database
        .query<{ id: string; ended_ms: number }, [number]>(
          "DELETE FROM ended_jobs WHERE number <= ? RETURNING id, ended_ms",
        )
        .all(upTo);
      this.#sinceMs = rows.reduce((since, { ended_ms }) => Math.max(since, ended_ms + 1), this.#sinceMs);
      this.#database.query("UPDATE ended_jobs_log SET since_ms = ?, forgotten = ?").run(this.#sinceMs, upTo);
      return rows;
    });
    for (const { id } of forget()) this.#known.delete(id);
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

/** By its own box's clock; 0: not said. */
function endedMs({ ended_at }: Job): number {
  return Date.parse(ended_at ?? "") || 0;
}
