// The log of ended jobs. Each end has one permanent number, so that a listener that reconnects continues where it was.
import type { Database } from "bun:sqlite";
import type { Clock } from "../../base/clock.ts";
import { isEnded, Job } from "../../protocol.ts";
import { KnownEnds } from "./known_ends.ts";

/** An end with its number; numbers only go up. */
export interface EndedJob {
  readonly number: number;
  readonly job: Job;
}

/** What its readers and the job feed use of a log of ends. */
export type EndLog = Pick<
  EndedJobs,
  "id" | "last" | "begin" | "news" | "add" | "after" | "reaches" | "find" | "listen" | "settled"
>;

/** An end that another log has numbered. */
export interface NumberedEnd extends EndedJob {
  /** When it was, on the transport's clock. */
  readonly atMs: number;
}

/** Which log this one is a copy of. */
export interface CopiedLog {
  readonly id: string;
  /** An end before that is no news. */
  readonly sinceMs: number;
  /** The ends with numbers up to this are no longer kept there. */
  readonly forgotten: number;
}

interface Row {
  readonly number: number;
  readonly job: string;
}

interface Owner {
  readonly id: string;
  readonly agent: string;
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

const OWNER = "job ->> '$.id' AS id, job ->> '$.agent' AS agent";
/**
 * The table's id is that of the job, as earlier releases read it. If another agent had its end under the same id first,
 * it is `agent/id`, which no job has.
 */
const VALUES = `
  iif(EXISTS (SELECT 1 FROM ended_jobs WHERE id = $id AND job ->> '$.agent' <> $agent), $key, $id), $ended_ms, $job`;
const INSERT = `INSERT OR IGNORE INTO ended_jobs (id, ended_ms, job) SELECT ${VALUES}`;
const PLACE = `INSERT OR IGNORE INTO ended_jobs (number, id, ended_ms, job) SELECT $number, ${VALUES}`;

/** Stored in the server's database: an end that was delivered before a restart is still known after it. */
export class EndedJobs {
  readonly #database: Database;
  readonly #clock: Pick<Clock, "now">;
  readonly #known = new KnownEnds();
  readonly #listeners = new Set<() => void>();
  #id: string;
  #sinceMs: number;
  #forgotten: number;
  #last: number;
  #bytes: number;

  /** @param clock the transport's, as everywhere here */
  constructor(database: Database, clock: Pick<Clock, "now">) {
    this.#database = database;
    this.#clock = clock;
    const log = openLogRow(database);
    this.#id = log.id;
    this.#sinceMs = log.since_ms;
    this.#forgotten = log.forgotten;
    this.#last = log.forgotten;
    const rows = database.query<Owner & { number: number }, []>(
      `SELECT number, ${OWNER} FROM ended_jobs ORDER BY number`,
    );
    for (const { number, ...owner } of rows.all()) {
      this.#known.add(owner);
      this.#last = number;
    }
    this.#bytes = bytesOf(database);
  }

  /** Identifies this log: the numbers of another log mean nothing here. */
  get id(): string {
    return this.#id;
  }

  get hasBegun(): boolean {
    return this.#sinceMs !== NOT_BEGUN_MS;
  }

  /** An end before that is no news. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** The ends with numbers up to this are no longer kept. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Calls it after each addition. */
  listen(added: () => void): void {
    this.#listeners.add(added);
  }

  /** Resolves when the ends that were added so far have their numbers. Here they have them at once. */
  async settled(): Promise<void> {}

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
      if (job.id === null || !isEnded(job) || this.#known.has(job)) return false;
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
    const insert = this.#database.query<null, [Record<string, string | number>]>(INSERT);
    const insertAll = this.#database.transaction(() => {
      for (const [index, job] of news.entries()) {
        const { agent, id } = ownerOf(job);
        const ended_ms = endAtMs(job, clockOffsetMs, nowMs);
        insert.run({ agent, id, key: keyOf(agent, id), ended_ms, job: texts[index] ?? "" });
      }
    });
    insertAll();
    // Another server on the same store may have added the end first, with its own number.
    const newest = this.#database.query<{ number: number | null }, []>("SELECT MAX(number) AS number FROM ended_jobs");
    this.#last = newest.get()?.number ?? this.#last;
    this.#added(news, texts);
    return true;
  }

  /**
   * Makes this a copy of that log: what it has of another one is removed, and numbers come only by `place()`.
   * A copy that was away too long for the log to have all that it misses has a gap: it begins again after that.
   */
  copyOf({ id, sinceMs, forgotten }: CopiedLog): void {
    const isOther = id !== this.#id;
    const hasGap = forgotten > this.#last;
    if (!isOther && !hasGap) return;
    const beginMs = Math.round(isOther ? sinceMs : Math.max(sinceMs, this.#sinceMs));
    this.#database.transaction(() => {
      this.#database.run("DELETE FROM ended_jobs");
      this.#database.query("UPDATE ended_jobs_log SET id = ?, since_ms = ?, forgotten = ?").run(id, beginMs, forgotten);
    })();
    this.#id = id;
    this.#sinceMs = beginMs;
    this.#known.clear();
    this.#bytes = 0;
    this.#last = forgotten;
    this.#forgotten = forgotten;
  }

  /** Adds ends with the numbers that they have elsewhere. Those up to `last` are there already. */
  place(ends: readonly NumberedEnd[]): void {
    const news = ends.filter(({ number }) => number > this.#last);
    const last = news.at(-1)?.number;
    if (last === undefined) return;
    const texts = news.map(({ job }) => JSON.stringify(job));
    const insert = this.#database.query<null, [Record<string, string | number>]>(PLACE);
    this.#database.transaction(() => {
      for (const [index, { number, job, atMs: ended_ms }] of news.entries()) {
        const { agent, id } = ownerOf(job);
        insert.run({ number, agent, id, key: keyOf(agent, id), ended_ms, job: texts[index] ?? "" });
      }
    })();
    this.#last = last;
    this.#added(
      news.map(({ job }) => job),
      texts,
    );
  }

  /** At most `limit` ends with higher numbers, in order. */
  after(number: number, limit: number): readonly EndedJob[] {
    if (number >= this.#last) return [];
    return this.#database
      .query<Row, [number, number]>("SELECT number, job FROM ended_jobs WHERE number > ? ORDER BY number LIMIT ?")
      .all(number, limit)
      .map((row) => ({ number: row.number, job: Job.parse(JSON.parse(row.job)) }));
  }

  /** As `after()`, with when they were. */
  numbered(number: number, limit: number): readonly NumberedEnd[] {
    return this.#database
      .query<Row & { ended_ms: number }, [number, number]>(
        "SELECT number, ended_ms, job FROM ended_jobs WHERE number > ? ORDER BY number LIMIT ?",
      )
      .all(number, limit)
      .map((row) => ({ number: row.number, atMs: row.ended_ms, job: Job.parse(JSON.parse(row.job)) }));
  }

  /** Whether every end with a higher number is still kept. */
  reaches(number: number): boolean {
    return number >= this.#forgotten && number <= this.#last;
  }

  /**
   * One end, by its job's id: of the agent that had one first, among those that `isMeant` accepts. Undefined when it is not
   * kept, or no longer.
   */
  find(id: string, isMeant: (agent: string) => boolean = () => true): EndedJob | undefined {
    const agent = this.#known.agentsOf(id).find(isMeant);
    if (agent === undefined) return undefined;
    const row = this.#database
      .query<Row, [string, string, string]>(
        "SELECT number, job FROM ended_jobs WHERE id IN (?, ?) AND job ->> '$.agent' = ?",
      )
      .get(id, keyOf(agent, id), agent);
    return row === null ? undefined : { number: row.number, job: Job.parse(JSON.parse(row.job)) };
  }

  #added(jobs: readonly Job[], texts: readonly string[]): void {
    for (const job of jobs) this.#known.add(ownerOf(job));
    for (const text of texts) this.#bytes += Buffer.byteLength(text);
    if (this.#known.size >= 2 * KEPT || this.#bytes >= 2 * KEPT_BYTES) this.#forget(this.#lastToForget());
    for (const added of this.#listeners) added();
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
        .query<Owner & { ended_ms: number }, [number]>(
          `DELETE FROM ended_jobs WHERE number <= ? RETURNING ended_ms, ${OWNER}`,
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
    for (const owner of forget()) this.#known.delete(owner);
    this.#bytes = bytesOf(this.#database);
    this.#forgotten = upTo;
  }
}

function keyOf(agent: string, id: string): string {
  return `${agent}/${id}`;
}

/** Of news, which have an id. */
function ownerOf({ agent, id }: Job): Owner {
  return { agent, id: id ?? "" };
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

/**
 * When the job ended, on the transport's clock. Not later than now: else the log could begin in the far future, once this end is
 * forgotten.
 */
export function endAtMs(job: Job, clockOffsetMs: number, nowMs: number): number {
  return Math.round(Math.max(0, Math.min(endedMs(job) + clockOffsetMs, nowMs)));
}

/** On the clock of the job's machine; 0 when the job has no such time. */
function endedMs({ ended_at }: Job): number {
  return Date.parse(ended_at ?? "") || 0;
}
