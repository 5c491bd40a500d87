// Jobs that an agent refused. No agent knows them, so the server keeps the latest ones for a day.
import type { Database } from "bun:sqlite";
import type { Clock } from "../../base/clock.ts";
import { Job } from "../../protocol.ts";

const KEPT_MS = 24 * 3_600_000;
/** One request may be for this many agents. Repeated requests cannot fill the disk. */
const KEPT = 1_000;

interface Row {
  readonly job: string;
}

export class RefusedJobs {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Keeps refused jobs, all or none of them, and removes those that are too old or too many. */
  add(jobs: readonly Job[]): void {
    if (jobs.length === 0) return;
    const nowMs = this.#clock.now();
    const keep = this.#database.query("INSERT OR REPLACE INTO refused_jobs (id, ended_at_ms, job) VALUES (?, ?, ?)");
    // One transaction: each commit waits for the disk, and blocks all requests meanwhile.
    this.#database.transaction(() => {
      this.#database.query("DELETE FROM refused_jobs WHERE ended_at_ms < ?").run(nowMs - KEPT_MS);
      for (const job of jobs) keep.run(job.id, nowMs, JSON.stringify(job));
      this.#database
        .query(
          "DELETE FROM refused_jobs WHERE id NOT IN (SELECT id FROM refused_jobs ORDER BY ended_at_ms DESC, id DESC LIMIT ?)",
        )
        .run(KEPT);
    })();
  }

  /** Another text after each change of what `list()` returns. */
  version(isMeant: (agent: string) => boolean): string {
    const rows = this.#database.query<{ readonly id: string; readonly agent: string }, [number]>(
      "SELECT id, job ->> '$.agent' AS agent FROM refused_jobs WHERE ended_at_ms >= ?",
    );
    return rows
      .all(this.#clock.now() - KEPT_MS)
      .filter(({ agent }) => isMeant(agent))
      .map(({ id }) => id)
      .join();
  }

  /** Newest first. @param isMeant the agents whose jobs are listed */
  list(isMeant: (agent: string) => boolean): readonly Job[] {
    return this.#database
      .query<Row, [number]>("SELECT job FROM refused_jobs WHERE ended_at_ms >= ? ORDER BY ended_at_ms DESC, id DESC")
      .all(this.#clock.now() - KEPT_MS)
      .map(({ job }) => Job.parse(JSON.parse(job)))
      .filter(({ agent }) => isMeant(agent));
  }

  /** Undefined when no refused job has this id, or its day is over. */
  find(id: string): Job | undefined {
    const row = this.#database
      .query<Row, [string, number]>("SELECT job FROM refused_jobs WHERE id = ? AND ended_at_ms >= ?")
      .get(id, this.#clock.now() - KEPT_MS);
    return row === null ? undefined : Job.parse(JSON.parse(row.job));
  }
}
