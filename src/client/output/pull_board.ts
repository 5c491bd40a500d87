// The progress of pulls on a terminal: a line per agent, or a summary and the slowest few where there are more agents than rows.
import type { Clock } from "../../base/clock.ts";
import { visibleText } from "../../base/format.ts";
import { cutText } from "../../program/style.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { jobPercent } from "./job_text.ts";
import { stateWord } from "./job_wait.ts";
import type { LiveScreen, Size } from "./live_screen.ts";
import type { Printer } from "./printer.ts";
import type { Progress } from "./progress.ts";
import { formatPull, type PullLine, pullLine, restChars } from "./pull_line.ts";
import { summarize } from "./pull_summary.ts";

/** Often enough for a countdown and a bar. */
const DRAW_MS = 200;

export class PullBoard implements Progress {
  readonly #printer: Printer;
  readonly #nowMs: (agent: string) => number;
  readonly #agents: readonly string[];
  readonly #jobs = new Map<string, Job>();
  /** Why the job of an agent cannot be read at the moment. */
  readonly #lost = new Map<string, string>();
  readonly #over = new AbortController();
  readonly #screen: LiveScreen;
  #showsAll = true;

  /**
   * @param agents all of them, in order
   * @param nowMs the time by the clock of an agent's box
   */
  constructor(printer: Printer, clock: Clock, agents: readonly string[], nowMs: (agent: string) => number) {
    this.#printer = printer;
    this.#agents = agents;
    this.#nowMs = nowMs;
    this.#screen = printer.openLive("below", (size) => this.#frame(size));
    void this.#redraw(clock);
  }

  /** Whether what it leaves behind has a line for every agent. */
  get showsAll(): boolean {
    return this.#showsAll;
  }

  show(job: Job): void {
    this.#jobs.set(job.agent, job);
    this.#lost.delete(job.agent);
  }

  lost({ agent }: Job, reason: string): void {
    this.#lost.set(agent, reason);
  }

  close(): void {
    this.#over.abort();
    this.#screen.draw();
    this.#screen.close();
  }

  async #redraw(clock: Clock): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await clock.sleep(DRAW_MS, signal);
      this.#screen.draw();
    }
  }

  #frame({ width, height }: Size): string[] {
    const room = Math.max(1, height - 1);
    this.#showsAll = this.#agents.length <= room;
    if (this.#showsAll) return this.#lines(this.#agents, width - 1, room);
    const summary = cutText(
      summarize(
        this.#agents.map((agent) => this.#seen(agent)),
        this.#printer.paint,
      ),
      width - 1,
    );
    const jobs = [...this.#jobs.values()];
    // A table of all results follows.
    if (this.#over.signal.aborted && jobs.length === this.#agents.length && jobs.every(isEnded)) return [summary];
    return [summary, ...this.#lines(this.#worst(room - 1), width - 1, room - 1)];
  }

  /** @param room in lines, at least one per agent */
  #lines(agents: readonly string[], width: number, room: number): string[] {
    const lines = agents.map((agent) => this.#line(agent));
    const layout = {
      nameChars: Math.max(0, ...agents.map(({ length }) => length)),
      width,
      restChars: Math.max(0, ...lines.map(restChars)),
      paint: this.#printer.paint,
    };
    let spare = room - lines.length;
    return lines.flatMap((line) => {
      const formatted = formatPull(line, layout, spare > 0);
      spare -= formatted.length - 1;
      return formatted;
    });
  }

  #line(agent: string): PullLine {
    const job = this.#jobs.get(agent);
    const lost = this.#lost.get(agent);
    if (lost !== undefined) {
      const line = { agent, state: "waiting", tone: "caution", parts: [], reason: visibleText(lost, " ") } as const;
      return { ...line, percent: job === undefined ? null : jobPercent(job) };
    }
    if (job !== undefined) return pullLine(job, this.#nowMs(agent));
    return { agent, state: "waiting", tone: null, percent: null, parts: [], reason: "for an answer" };
  }

  #seen(agent: string): { readonly word: string; readonly percent: number | null } {
    const job = this.#jobs.get(agent);
    if (this.#lost.has(agent)) return { word: "not reporting", percent: null };
    return job === undefined ? { word: "waiting", percent: null } : { word: stateWord(job), percent: jobPercent(job) };
  }

  /** Those that wait, then the slowest, in order of names: a line that moves about cannot be read. */
  #worst(count: number): string[] {
    const urgent = this.#agents.toSorted((a, b) => urgency(this.#seen(a)) - urgency(this.#seen(b))).slice(0, count);
    return this.#agents.filter((agent) => urgent.includes(agent));
  }
}

/** A failed pull does not change any more; it is counted here and printed in the end. */
const URGENCY = [
  "not reporting",
  "retrying",
  "waiting",
  "running",
  "queued",
  "verifying",
  "failed",
  "cancelled",
  "succeeded",
];

/** The less, the more it matters. Of those that run, the slowest first. */
function urgency({ word, percent }: { readonly word: string; readonly percent: number | null }): number {
  return URGENCY.indexOf(word) + (percent ?? 0) / 1000;
}
