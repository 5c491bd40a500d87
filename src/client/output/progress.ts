// The progress of a pull as JSON lines, or as plain lines for a pipe.
import type { Clock } from "../../base/clock.ts";
import type { Job } from "../../protocol.ts";
import { describeProgress, jobPercent, noteText } from "./job_text.ts";
import type { Printer } from "./printer.ts";

/** Gets every change of every job and decides which of them to show. */
export interface Progress {
  show(job: Job): void;
  /** The job's state cannot be read at the moment, for this reason. */
  lost(job: Job, reason: string): void;
  close(): void;
}

/** A line is due when so much more is there, */
const STEP_PERCENT = 10;
/** or, on a slow line, after this long, provided that anything moved. */
const STEP_MS = 5_000;

/** Every change is one job document. */
export class JsonProgress implements Progress {
  readonly #printer: Printer;

  constructor(printer: Printer) {
    this.#printer = printer;
  }

  show(job: Job): void {
    this.#printer.documentLine(job);
  }

  lost(): void {}

  close(): void {}
}

interface Shown {
  readonly state: Job["state"];
  readonly percent: number;
  readonly text: string;
  readonly atMs: number;
  /** Without its digits: a countdown alone is no reason for a line. */
  readonly note: string;
  readonly isLost: boolean;
}

/** One line per job and change that matters. */
export class LineProgress implements Progress {
  readonly #printer: Printer;
  readonly #clock: Clock;
  readonly #nowMs: (agent: string) => number;
  readonly #subject: (job: Job) => string;
  readonly #shown = new Map<string, Shown>();

  /**
   * @param nowMs the time by the clock of an agent's box
   * @param naming a pull is of one model; jobs are of several
   */
  constructor(
    printer: Printer,
    clock: Clock,
    nowMs: (agent: string) => number,
    naming: "agents alone" | "with models" = "agents alone",
  ) {
    this.#printer = printer;
    this.#clock = clock;
    this.#nowMs = nowMs;
    this.#subject = ({ agent, model }) => (naming === "with models" ? `${agent}: ${model}` : `${agent}:`);
  }

  show(job: Job): void {
    const nowMs = this.#nowMs(job.agent);
    const text = `${this.#subject(job)} ${stateText(job, nowMs)}`;
    const note = noteText(job, nowMs).replaceAll(/\d+/g, "0");
    const percent = jobPercent(job) ?? 0;
    const atMs = this.#clock.monotonic();
    const last = this.#shown.get(keyOf(job));
    if (last?.state === job.state && last.note === note && !last.isLost) {
      const isFurther = percent >= last.percent + STEP_PERCENT;
      const isLater = atMs >= last.atMs + STEP_MS && text !== last.text;
      if (!isFurther && !isLater) return;
    }
    this.#shown.set(keyOf(job), { state: job.state, percent, text, atMs, note, isLost: false });
    this.#printer.line(text);
  }

  lost(job: Job, reason: string): void {
    const last = this.#shown.get(keyOf(job));
    // The reason differs each time: it says for how long.
    if (last === undefined || last.isLost) return;
    this.#shown.set(keyOf(job), { ...last, isLost: true });
    this.#printer.line(`${this.#subject(job)} not reporting, ${reason}`);
  }

  close(): void {}
}

function keyOf({ id, agent }: Job): string {
  return id ?? agent;
}

function stateText(job: Job, nowMs: number): string {
  const progress = describeProgress(job, nowMs);
  return `${job.state}${progress === "" ? "" : `, ${progress}`}`;
}
