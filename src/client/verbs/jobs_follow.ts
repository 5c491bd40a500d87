// The verb jobs with --follow: shows the jobs as they change, until Ctrl-C.
import { asCourierError, ERROR_CODES } from "../../base/errors.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { boxClock, liveBoxClock } from "../box_clock.ts";
import { JOB_COLUMNS, jobRows } from "../output/job_table.ts";
import type { Printer } from "../output/printer.ts";
import { JsonProgress, LineProgress, type Progress } from "../output/progress.ts";
import { describeUnavailable } from "../output/unavailable.ts";
import type { Session } from "../session.ts";

/** Agents publish progress at most twice a second. */
const LOOK_MS = 500;

/** The table with its ids does not fit on less. */
const ROOMY_COLUMNS = 60;

/**
 * `gpuctl jobs --follow`: a table that is redrawn on a terminal; a line or JSON document per change elsewhere. Notes name
 * the agents, or the share, that cannot be read, and following goes on when they are back.
 * @returns the exit status of Ctrl-C
 */
export async function followJobs(session: Session): Promise<number> {
  const { courier, printer, agents, io } = session;
  const view = printer.isTerminal && !printer.json ? new TableView(session) : new ChangeView(session);
  while (!io.signal.aborted) {
    try {
      const { jobs, unavailable } = await courier.listJobs(agents);
      view.show(
        jobs,
        unavailable.map((each) => ({ subject: each.agent, text: describeUnavailable(each) })),
      );
    } catch (error) {
      const { code, spoken } = asCourierError(error);
      if (code !== "unavailable") throw error;
      view.show(undefined, [{ subject: "all", text: spoken.message }]);
    }
    await io.clock.sleep(LOOK_MS, io.signal);
  }
  return ERROR_CODES.cancelled.exit;
}

/** An agent, or the share, that cannot be read at the moment. The text includes for how long, so it keeps changing. */
interface Missing {
  readonly subject: string;
  readonly text: string;
}

interface JobsView {
  /** @param jobs undefined: they cannot be seen just now */
  show(jobs: readonly Job[] | undefined, missing: readonly Missing[]): void;
}

class TableView implements JobsView {
  readonly #session: Session;
  #rows: readonly string[][] = [];
  #shown = "";

  constructor(session: Session) {
    this.#session = session;
  }

  show(jobs: readonly Job[] | undefined, missing: readonly Missing[]): void {
    const { printer } = this.#session;
    if (jobs !== undefined) this.#rows = jobRows(jobs, boxClock(this.#session), true);
    const first = printer.width < ROOMY_COLUMNS ? 1 : 0;
    const rows = this.#rows.map((row) => row.slice(first));
    const notes = missing.map(({ text }) => text);
    const shown = JSON.stringify([printer.width, rows, notes]);
    if (shown !== this.#shown) printer.redraw(JOB_COLUMNS.slice(first), rows, notes);
    this.#shown = shown;
  }
}

/** Shows every change of a job, except for jobs that had ended before; notes each missing agent once. */
class ChangeView implements JobsView {
  readonly #printer: Printer;
  readonly #progress: Progress;
  readonly #seen = new Map<string, string>();
  #missing = "";
  #isFirst = true;

  constructor(session: Session) {
    const { printer, io } = session;
    const nowMs = liveBoxClock(session);
    this.#printer = printer;
    this.#progress = printer.json
      ? new JsonProgress(printer)
      : new LineProgress(printer, io.clock, nowMs, "with models");
  }

  show(jobs: readonly Job[] | undefined, missing: readonly Missing[]): void {
    if (jobs !== undefined) this.#showChanges(jobs);
    const subjects = missing.map(({ subject }) => subject).join();
    if (subjects !== this.#missing) for (const { text } of missing) this.#printer.note(text);
    this.#missing = subjects;
  }

  #showChanges(jobs: readonly Job[]): void {
    for (const job of jobs) {
      const text = JSON.stringify(job);
      const key = job.id ?? job.agent;
      if (this.#seen.get(key) === text) continue;
      this.#seen.set(key, text);
      if (!this.#isFirst || !isEnded(job)) this.#progress.show(job);
    }
    this.#isFirst = false;
  }
}
