// The verb jobs with --watch: goes on showing what jobs do, until Ctrl-C. Imports courier, errors, and the client's output.
import { asCourierError, ERROR_CODES } from "../errors.ts";
import { isEnded, type Job } from "../protocol.ts";
import { boxClock, JOB_COLUMNS, jobRows } from "./jobs.ts";
import { noteUnavailable } from "./models.ts";
import { JsonProgress, LineProgress, type Progress } from "./progress.ts";
import type { Session } from "./session.ts";

/** Agents publish progress at most twice a second. */
const LOOK_MS = 500;

/**
 * `gpuctl jobs --watch`: on a terminal the table, drawn anew; else, or as JSON, each job as it changes. Away agents and an
 * away share are said once, and waited for.
 * @returns the exit status of Ctrl-C
 */
export async function watchJobs(session: Session): Promise<number> {
  const { courier, printer, agents, io } = session;
  const view = printer.isTerminal && !printer.json ? new TableView(session) : new ChangeView(session);
  let said = "";
  const sayOnce = (reason: string, say: () => void): void => {
    if (reason !== said && reason !== "") say();
    said = reason;
  };
  while (!io.signal.aborted) {
    try {
      const { jobs, unavailable } = await courier.listJobs(agents);
      view.show(jobs);
      const names = unavailable.map(({ agent }) => agent).join();
      sayOnce(names, () => noteUnavailable(printer, unavailable));
    } catch (error) {
      const failure = asCourierError(error);
      if (failure.code !== "unavailable") throw error;
      sayOnce("unavailable", () => printer.note(failure.message));
    }
    await io.clock.sleep(LOOK_MS, io.signal);
  }
  return ERROR_CODES.cancelled.exit;
}

interface JobsView {
  show(jobs: readonly Job[]): void;
}

class TableView implements JobsView {
  readonly #session: Session;
  #shown = "";

  constructor(session: Session) {
    this.#session = session;
  }

  show(jobs: readonly Job[]): void {
    const { printer, courier, transport } = this.#session;
    const rows = jobRows(jobs, boxClock(courier, transport), true);
    const shown = JSON.stringify(rows);
    if (shown !== this.#shown) printer.redrawTable(JOB_COLUMNS, rows);
    this.#shown = shown;
  }
}

/** What had ended before it began is not told; everything else is, its end too. */
class ChangeView implements JobsView {
  readonly #progress: Progress;
  readonly #told = new Map<string, string>();
  #isFirst = true;

  constructor({ printer, io }: Session) {
    this.#progress = printer.json ? new JsonProgress(printer) : new LineProgress(printer, io.clock, "with models");
  }

  show(jobs: readonly Job[]): void {
    for (const job of jobs) {
      const text = JSON.stringify(job);
      const key = job.id ?? job.agent;
      if (this.#told.get(key) === text) continue;
      this.#told.set(key, text);
      if (!this.#isFirst || !isEnded(job)) this.#progress.show(job);
    }
    this.#isFirst = false;
  }
}
