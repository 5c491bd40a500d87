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
  /** Digits aside: a note that counts seconds is no news each second. */
  readonly note: string;
  readonly isLost: boolean;
}

/** One line per job and change that matters. */
export class LineProgress implements Progress {
  readonly #printer: Printer;
  readonly #clock: Clock;
  readonly #subject: (job: Job) => string;
  readonly #shown = new Map<string, Shown>();

  /** @param naming a pull is of one model; jobs are of several */
  constructor(printer: Printer, clock: Clock, naming: "agents alone" | "with models" = "agents alone") {
    this.#printer = printer;
    this.#clock = clock;
    this.#subject = ({ agent, model }) => (naming === "with models" ? `${agent}: ${model}` : `${agent}:`);
  }

  show(job: Job): void {
    const text = `${this.#subject(job)} ${stateText(job)}`;
    const percent = jobPercent(job) ?? 0;
    const atMs = this.#clock.monotonic();
    const last = this.#shown.get(keyOf(job));
    if (last?.state === job.state && last.note === noteOf(job) && !last.isLost) {
      const isFurther = percent >= last.percent + STEP_PERCENT;
      const isLater = atMs >= last.atMs + STEP_MS && text !== last.text;
      if (!isFurther && !isLater) return;
    }
    this.#shown.set(keyOf(job), { state: job.state, percent, text, atMs, note: noteOf(job), isLost: false });
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

function noteOf(job: Job): string {
  return noteText(job).replaceAll(/\d+/g, "0");
}

function stateText(job: Job): string {
  const progress = describeProgress(job);
  return `${job.state}${progress === "" ? "" : `, ${progress}`}`;
}
