// How a pull is told while it goes on: JSON lines, or plain lines for a pipe. Imports the protocol's types, clock, printer.
import type { Clock } from "../clock.ts";
import type { Job } from "../protocol.ts";
import { describeProgress, jobPercent } from "./job_text.ts";
import type { Printer } from "./printer.ts";

/** Is told of every change of every job; decides itself what of it is worth showing. */
export interface Progress {
  show(job: Job): void;
  /** The job cannot be seen just now; `reason` says why. */
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
  readonly isLost: boolean;
}

/** One line per agent and change that matters. */
export class LineProgress implements Progress {
  readonly #printer: Printer;
  readonly #clock: Clock;
  readonly #shown = new Map<string, Shown>();

  constructor(printer: Printer, clock: Clock) {
    this.#printer = printer;
    this.#clock = clock;
  }

  show(job: Job): void {
    const text = lineText(job);
    const percent = jobPercent(job) ?? 0;
    const atMs = this.#clock.monotonic();
    const last = this.#shown.get(job.agent);
    if (last?.state === job.state && !last.isLost) {
      const isFurther = percent >= last.percent + STEP_PERCENT;
      const isLater = atMs >= last.atMs + STEP_MS && text !== last.text;
      if (!isFurther && !isLater) return;
    }
    this.#shown.set(job.agent, { state: job.state, percent, text, atMs, isLost: false });
    this.#printer.line(text);
  }

  lost({ agent }: Job, reason: string): void {
    const last = this.#shown.get(agent);
    // The reason differs each time: it says for how long.
    if (last === undefined || last.isLost) return;
    this.#shown.set(agent, { ...last, isLost: true });
    this.#printer.line(`${agent}: out of sight, ${reason}`);
  }

  close(): void {}
}

function lineText(job: Job): string {
  const progress = describeProgress(job);
  return `${job.agent}: ${job.state}${progress === "" ? "" : `, ${progress}`}`;
}
