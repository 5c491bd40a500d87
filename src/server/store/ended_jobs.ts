// The log of ended jobs. Each end has one permanent number, so that a listener that reconnects continues where it was.
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

/** At least this many ends are kept, and never more than twice as many. */
const KEPT = 10_000;
/** The beginning of a log that has not begun: no job ended later. */
const NOT_BEGUN_MS = Number.MAX_SAFE_INTEGER;

/** Stored in the server's database: an end that was delivered before a restart is still known after it. */
export class EndedJobs {
  /** Identifies this log: the numbers of another log mean nothing here. */
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

  /** Begins a new log; one that has begun is unchanged. No end is news before. @param nowMs on the transport's clock, as everywhere here */
  begin(nowMs: number): void {
    if (this.#sinceMs !== NOT_BEGUN_MS) return;
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
   * The jobs whose end belongs in the log and is not there yet. A job that ended before the log began does not belong there.
   * @param clockOffsetMs the transport's clock minus the jobs' clock
   */
  news(jobs: readonly Job[], clockOffsetMs = 0): readonly Job[] {
    return jobs.filter((job) => {
      if (job.id === null || !isEnded(job) || this.#known.has(job.id)) return false;
      return job.ended_at === null || endedMs(job) + clockOffsetMs >= this.#sinceMs;
    });
  }

  /** Gives each new end the next number. @returns whether there was a new end */
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
    // Another server on the same store may have added the end first, with its own number.
    const newest = this.#database.query<{ number: number | null }, []>("SELECT MAX(number) AS number FROM ended_jobs");
    this.#last = newest.get()?.number ?? this.#last;
    for (const { id } of news) this.#known.add(id ?? "");
    if (this.#known.size >= 2 * KEPT) this.#forget(this.#last - KEPT);
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

  /** The log then begins after the newest end that was removed, so that an agent whose state still shows it brings no news. */
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

/** On the clock of the job's machine; 0 when the job has no such time. */
function endedMs({ ended_at }: Job): number {
  return Date.parse(ended_at ?? "") || 0;
}
