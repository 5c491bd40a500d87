// The progress of a pull on a terminal: one bar per agent.
import { MultiBar, type Options, type Params, type SingleBar } from "cli-progress";
import { formatBytes, formatDuration, visibleText } from "../../base/format.ts";
import type { Job } from "../../protocol.ts";
import type { Screen } from "../io.ts";
import { jobPercent, noteText, phaseText } from "./job_text.ts";
import type { Progress } from "./progress.ts";

const DEFAULT_WIDTH = 80;
const MAX_BAR_CHARS = 30;
const MIN_BAR_CHARS = 5;
/** A longer rest is a sentence: only its own bar becomes shorter. */
const MAX_ALIGNED_CHARS = 45;
/** The longest state, `succeeded`; a column as wide keeps the bars in line. */
const STATE_CHARS = 9;

export class BarProgress implements Progress {
  readonly #bars: MultiBar;
  readonly #bar = new Map<string, SingleBar>();
  readonly #nowMs: (agent: string) => number;
  /** Computed at each drawing: the time until the next attempt counts down. */
  readonly #texts = new Map<string, () => BarText>();
  /** The width of each line's rest: the longest decides the length of all bars. */
  readonly #restChars = new Map<string, number>();
  readonly #nameChars: number;

  /**
   * @param agents all of them, in order
   * @param nowMs the time by the clock of an agent's box
   */
  constructor(screen: Screen, agents: readonly string[], nowMs: (agent: string) => number) {
    this.#nowMs = nowMs;
    this.#nameChars = Math.max(...agents.map((agent) => agent.length));
    const format = (_options: Options, { maxWidth }: Params, { agent }: { agent: string }): string =>
      this.#format(agent, maxWidth);
    // Signals are gpuctl's own: the terminal is put right by close().
    this.#bars = new MultiBar({ stream: screen, format, hideCursor: true, gracefulExit: false });
    for (const agent of agents) {
      this.#update(agent, () => ({ agent, state: "queued", percent: null, rest: "" }));
      this.#bar.set(agent, this.#bars.create(100, 0, { agent }));
    }
  }

  show(job: Job): void {
    const { agent, state } = job;
    this.#update(agent, () => ({ agent, state, percent: jobPercent(job), rest: restText(job, this.#nowMs(agent)) }));
  }

  lost(job: Job, reason: string): void {
    const { agent } = job;
    this.#update(agent, () => ({ agent, state: "waiting", percent: jobPercent(job), rest: visibleText(reason, " ") }));
  }

  close(): void {
    this.#bars.update();
    this.#bars.stop();
  }

  #update(agent: string, text: () => BarText): void {
    this.#texts.set(agent, text);
    this.#measure(text());
    this.#bar.get(agent)?.update({ agent });
  }

  #measure({ agent, rest }: BarText): void {
    this.#restChars.set(agent, rest.length > MAX_ALIGNED_CHARS ? 0 : rest.length);
  }

  #format(agent: string, width: number): string {
    const text = this.#texts.get(agent)?.();
    if (text === undefined) return "";
    this.#measure(text);
    return formatBar(text, this.#nameChars, width, Math.max(...this.#restChars.values()));
  }
}

/** The parts of one line, from left to right. */
export interface BarText {
  readonly agent: string;
  readonly state: string;
  readonly percent: number | null;
  readonly rest: string;
}

/**
 * One line, shorter than `width`: a longer one would wrap, and overwrite the lines below.
 * @param restChars the least width of the rest, which makes all bars equally long
 */
export function formatBar(
  { agent, state, percent, rest }: BarText,
  nameChars: number,
  width: number,
  restChars = 0,
): string {
  const head = `${agent.padEnd(nameChars)}  ${state.padEnd(STATE_CHARS)}  `;
  const tail = `${(percent === null ? "" : `${percent} %`).padStart(5)}  ${rest.padEnd(restChars)}`;
  const chars = Math.min(MAX_BAR_CHARS, (width || DEFAULT_WIDTH) - head.length - tail.length - 3);
  const full = Math.round((chars * (percent ?? 0)) / 100);
  const bar = chars < MIN_BAR_CHARS ? "" : `${"█".repeat(full)}${"░".repeat(chars - full)}  `;
  return `${head}${bar}${tail}`.slice(0, Math.max(1, width - 1)).trimEnd();
}

function restText(job: Job, nowMs: number): string {
  const { state, completed_bytes, total_bytes, bytes_per_second, eta_seconds } = job;
  if (state === "succeeded") return formatBytes(completed_bytes);
  const parts = total_bytes === null ? [] : [`${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`];
  if (total_bytes === null && completed_bytes > 0) parts.push(formatBytes(completed_bytes));
  const note = noteText(job, nowMs);
  if (note !== "") return [...parts, visibleText(note, " ")].join("  ");
  if (phaseText(job) !== "") parts.push(phaseText(job));
  if (state === "running" && bytes_per_second !== null) parts.push(`${formatBytes(bytes_per_second)}/s`);
  if (state === "running" && eta_seconds !== null) parts.push(formatDuration(eta_seconds));
  return parts.join("  ");
}
