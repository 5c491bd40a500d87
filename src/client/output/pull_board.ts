// The progress of pulls on a terminal: a line per pull, or a summary and the slowest few where there are more pulls than rows.
import type { Clock } from "../../base/clock.ts";
import { visibleText } from "../../base/format.ts";
import { sameModel } from "../../base/model_name.ts";
import { rangesText } from "../../base/order.ts";
import { cutText } from "../../program/style.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { jobPercent } from "./job_text.ts";
import { stateWord } from "./job_wait.ts";
import type { LiveScreen, Size } from "./live_screen.ts";
import type { Printer } from "./printer.ts";
import type { Progress } from "./progress.ts";
import { formatPull, type PullLine, pullLine, restChars } from "./pull_line.ts";
import { summarize, TROUBLES, UNANSWERED } from "./pull_summary.ts";
import { GAP, shortNames } from "./table.ts";

/** One pull on a board: no other is of the same model on the same agent. */
export interface Pull {
  readonly agent: string;
  readonly model: string;
}

/** The most of a line for the names of models, and the least. */
const MODEL_SHARE = 0.4;
const MODEL_CHARS = 12;
/** Often enough for a countdown and a bar. */
const DRAW_MS = 200;

export class PullBoard implements Progress {
  readonly #printer: Printer;
  readonly #nowMs: (agent: string) => number;
  readonly #pulls: readonly Pull[];
  readonly #jobs = new Map<Pull, Job>();
  /** Why the job of a pull cannot be read at the moment. */
  readonly #lost = new Map<Pull, string>();
  readonly #over = new AbortController();
  readonly #screen: LiveScreen;
  #showsAll = true;

  /**
   * @param pulls all of them, in order
   * @param nowMs the time by the clock of an agent's box
   */
  constructor(printer: Printer, clock: Clock, pulls: readonly Pull[], nowMs: (agent: string) => number) {
    this.#printer = printer;
    this.#pulls = pulls;
    this.#nowMs = nowMs;
    this.#screen = printer.openLive("below", (size) => this.#frame(size));
    void this.#redraw(clock);
  }

  /** Whether what it leaves behind has a line for every pull. */
  get showsAll(): boolean {
    return this.#showsAll;
  }

  show(job: Job): void {
    const pull = this.#pullOf(job);
    if (pull === undefined) return;
    this.#jobs.set(pull, job);
    this.#lost.delete(pull);
  }

  lost(job: Job, reason: string): void {
    const pull = this.#pullOf(job);
    if (pull !== undefined) this.#lost.set(pull, reason);
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

  #pullOf({ agent, model }: Job): Pull | undefined {
    const own = this.#pulls.filter((pull) => pull.agent === agent);
    return own.length === 1 ? own[0] : own.find((pull) => sameModel(pull.model, model));
  }

  #frame({ width, height }: Size): string[] {
    const room = Math.max(1, height - 1);
    this.#showsAll = this.#pulls.length <= room;
    if (this.#showsAll) return this.#lines(this.#pulls, width - 1, room);
    const summary = cutText(
      summarize(
        this.#pulls.map((pull) => this.#seen(pull)),
        this.#printer.paint,
      ),
      width - 1,
    );
    const jobs = [...this.#jobs.values()];
    // A table of all results follows.
    if (this.#over.signal.aborted && jobs.length === this.#pulls.length && jobs.every(isEnded)) return [summary];
    return [summary, ...this.#slowest(room - 1, width - 1)];
  }

  /** Those that run, and where they leave room, the others: in the last line which of them are in trouble. */
  #slowest(room: number, width: number): string[] {
    const shown = this.#worst(room);
    const hidden = (lines: readonly Pull[]): string =>
      this.#troubled(this.#pulls.filter((pull) => !lines.includes(pull)));
    const isFull = shown.every((pull) => MOVING.has(this.#seen(pull).word));
    if (isFull || hidden(shown) === "") return this.#lines(shown, width, room);
    const fewer = this.#worst(room - 1);
    return [...this.#lines(fewer, width, room - 1), cutText(hidden(fewer), width)];
  }

  /** `also 4 retrying: gpu-[3-6], 2 failed: gpu-[8-9]`; empty: none is in trouble. */
  #troubled(pulls: readonly Pull[]): string {
    const texts = TROUBLES.flatMap(([word, tone]) => {
      const names = [...new Set(pulls.filter((pull) => this.#seen(pull).word === word).map(({ agent }) => agent))];
      const count = pulls.filter((pull) => this.#seen(pull).word === word).length;
      return count === 0 ? [] : [`${this.#printer.paint(`${count} ${word}`, tone)}: ${rangesText(names)}`];
    });
    return texts.length === 0 ? "" : `also ${texts.join("; ")}`;
  }

  /** @param room in lines, at least one per pull */
  #lines(pulls: readonly Pull[], width: number, room: number): string[] {
    const names = this.#names(pulls, width);
    const lines = pulls.map((pull, index) => ({ ...this.#line(pull), name: names[index] ?? "" }));
    const layout = {
      nameChars: Math.max(0, ...names.map(({ length }) => length)),
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

  /** What differs between all pulls: the agents, the models, or both. */
  #names(pulls: readonly Pull[], width: number): string[] {
    const count = (names: readonly string[]): number => new Set(names).size;
    if (count(this.#pulls.map(({ model }) => model)) === 1) return pulls.map(({ agent }) => agent);
    const room = Math.max(MODEL_CHARS, Math.floor(width * MODEL_SHARE));
    const models = pulls.map(({ model }) => visibleText(model, " "));
    if (count(this.#pulls.map(({ agent }) => agent)) === 1) return shortNames(models, room);
    const agentChars = Math.max(0, ...pulls.map(({ agent }) => agent.length)) + GAP;
    const left = Math.max(MODEL_CHARS, room - agentChars);
    const names = shortNames(models, left);
    return pulls.map(({ agent }, index) => `${agent.padEnd(agentChars)}${names[index]}`);
  }

  #line(pull: Pull): PullLine {
    const { agent: name } = pull;
    const job = this.#jobs.get(pull);
    const lost = this.#lost.get(pull);
    if (lost !== undefined) {
      const line = {
        name,
        state: "not reporting",
        tone: "caution",
        parts: [],
        reason: visibleText(lost, " "),
      } as const;
      return { ...line, percent: job === undefined ? null : jobPercent(job) };
    }
    if (job !== undefined) return pullLine(job, this.#nowMs(pull.agent));
    return { name, state: "waiting", tone: null, percent: null, parts: [], reason: "for an answer" };
  }

  #seen(pull: Pull): { readonly word: string; readonly percent: number | null } {
    const job = this.#jobs.get(pull);
    if (this.#lost.has(pull)) return { word: "not reporting", percent: null };
    return job === undefined ? { word: UNANSWERED, percent: null } : { word: stateWord(job), percent: jobPercent(job) };
  }

  /** The slowest that run, then those that wait, in their order: a line that moves about cannot be read. */
  #worst(count: number): Pull[] {
    const urgent = this.#pulls.toSorted((a, b) => urgency(this.#seen(a)) - urgency(this.#seen(b))).slice(0, count);
    return this.#pulls.filter((pull) => urgent.includes(pull));
  }
}

/** What moves comes first. A failed pull does not change any more: it is counted here and printed in the end. */
const URGENCY = [
  "running",
  "verifying",
  "retrying",
  "not reporting",
  UNANSWERED,
  "queued",
  "failed",
  "cancelled",
  "succeeded",
];

const MOVING: ReadonlySet<string> = new Set(["running", "verifying"]);

/** The less, the more it matters. Of those that run, the slowest first. */
function urgency({ word, percent }: { readonly word: string; readonly percent: number | null }): number {
  return URGENCY.indexOf(word) + (percent ?? 0) / 1000;
}
