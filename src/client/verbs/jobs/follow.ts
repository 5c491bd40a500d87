// The verb jobs with --follow: shows the jobs as they change, until Ctrl-C.
import { asCourierError, ERROR_CODES } from "../../../base/errors.ts";
import { visibleText } from "../../../base/format.ts";
import { cutText } from "../../../program/style.ts";
import { isEnded, type Job } from "../../../protocol.ts";
import { boxClock, liveBoxClock } from "../../box_clock.ts";
import { JOB_COLUMNS, jobRows } from "../../output/job_table.ts";
import { describeJob } from "../../output/job_text.ts";
import { type LastSeen, lastSeen } from "../../output/last_seen.ts";
import type { LiveScreen, Size } from "../../output/live_screen.ts";
import type { Printer } from "../../output/printer.ts";
import { JsonProgress, LineProgress, type Progress } from "../../output/progress.ts";
import { offlineLines } from "../../output/unavailable.ts";
import type { Session } from "../../session.ts";
import { chooseJobs, type JobChoice } from "./choice.ts";

/** Agents publish progress at most twice a second. */
const LOOK_MS = 500;

/**
 * `gpuctl jobs --follow`: a table that is redrawn on a terminal; a line or JSON document per change elsewhere. Notes name
 * the agents, or the share, that cannot be read, and following goes on when they are back.
 * @returns the exit status of Ctrl-C
 */
export async function followJobs(session: Session, choice: JobChoice): Promise<number> {
  const { courier, printer, agents, io } = session;
  const view = printer.isLive ? new TableView(session) : new ChangeView(session);
  while (!io.signal.aborted) {
    try {
      const { jobs, unavailable } = await courier.listJobs(agents);
      const seen = lastSeen(courier.lastKnownAgents());
      view.show(
        { all: jobs, chosen: chooseJobs(jobs, choice, seen).shown, lastSeen: seen },
        unavailable.map(({ agent }) => agent),
        offlineLines(unavailable, printer.width, seen),
      );
    } catch (error) {
      const { code, spoken } = asCourierError(error);
      if (code !== "unavailable") throw error;
      view.show(undefined, ["all"], [spoken.message]);
    }
    await io.clock.sleep(LOOK_MS, io.signal);
  }
  return ERROR_CODES.cancelled.exit;
}

interface Seen {
  readonly all: readonly Job[];
  /** Those that the command line asks for. */
  readonly chosen: readonly Job[];
  readonly lastSeen: LastSeen;
}

interface JobsView {
  /**
   * @param seen undefined: they cannot be seen just now
   * @param missing the agents, or the share, that cannot be read at the moment
   * @param notes about these; a text includes for how long, so it keeps changing
   */
  show(seen: Seen | undefined, missing: readonly string[], notes: readonly string[]): void;
}

/** On a screen of its own, so that the last frame alone stays where the terminal can be scrolled back to. */
class TableView implements JobsView {
  readonly #session: Session;
  #screen: LiveScreen | undefined;
  #rows: readonly string[][] = [];
  #notes: readonly string[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  show(seen: Seen | undefined, _missing: readonly string[], notes: readonly string[]): void {
    const { printer } = this.#session;
    if (seen !== undefined) {
      const style = { isShort: true, lastSeen: seen.lastSeen };
      this.#rows = jobRows(seen.chosen, boxClock(this.#session), style);
    }
    this.#notes = notes;
    if (this.#screen === undefined) this.#screen = printer.openLive("alternate", (size) => this.#frame(size));
    else this.#screen.draw();
  }

  #frame({ width, height }: Size): string[] {
    const { printer } = this.#session;
    const table = printer
      .tableText(JOB_COLUMNS, this.#rows, width - 1)
      .trimEnd()
      .split("\n");
    const room = Math.max(2, height - 1 - this.#notes.length);
    const hidden = table.length - room;
    const shown = hidden > 0 ? [...table.slice(0, room - 1), `and ${hidden + 1} more jobs`] : table;
    return [
      ...shown,
      ...this.#notes.map((note) => printer.paint(cutText(visibleText(note, " "), width - 1), "caution")),
    ];
  }
}

/** Shows every change of a job, except for jobs that had ended before; notes each missing agent once. */
class ChangeView implements JobsView {
  readonly #printer: Printer;
  readonly #progress: Progress;
  readonly #nowMs: (agent: string) => number;
  readonly #seen = new Map<string, string>();
  #missing = "";
  #isFirst = true;

  constructor(session: Session) {
    const { printer, io } = session;
    const nowMs = liveBoxClock(session);
    this.#nowMs = nowMs;
    this.#printer = printer;
    this.#progress = printer.json
      ? new JsonProgress(printer)
      : new LineProgress(printer, io.clock, nowMs, { naming: "with models" });
  }

  show(seen: Seen | undefined, missing: readonly string[], notes: readonly string[]): void {
    if (seen !== undefined) this.#showChanges(seen);
    if (missing.join() !== this.#missing) for (const note of notes) this.#printer.note(note);
    this.#missing = missing.join();
  }

  #showChanges({ all, chosen, lastSeen: seenMs }: Seen): void {
    const isChosen = new Set(chosen);
    for (const job of all) {
      const text = JSON.stringify(job);
      const key = job.id ?? job.agent;
      // The end of one that was chosen while it ran is news.
      if (!isChosen.has(job) && !this.#seen.has(key)) continue;
      if (this.#seen.get(key) === text) continue;
      this.#seen.set(key, text);
      if (!this.#isFirst || !isEnded(job)) this.#show(job, seenMs(job.agent));
    }
    this.#isFirst = false;
  }

  #show(job: Job, lastSeenMs: number | undefined): void {
    if (lastSeenMs === undefined || isEnded(job) || this.#printer.json) this.#progress.show(job);
    else
      this.#printer.line(`${job.agent}: ${job.model} unknown, ${describeJob(job, this.#nowMs(job.agent), lastSeenMs)}`);
  }
}
