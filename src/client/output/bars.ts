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
/** A rest that is longer is a sentence: its bar alone gives way. */
const MAX_ALIGNED_CHARS = 45;
/** The longest state, `succeeded`; a column as wide keeps the bars in line. */
const STATE_CHARS = 9;

export class BarProgress implements Progress {
  readonly #bars: MultiBar;
  readonly #bar = new Map<string, SingleBar>();
  /** How long each line's rest is: the longest decides how long all bars are. */
  readonly #restChars = new Map<string, number>();

  /** @param agents all that there will be, in order */
  constructor(screen: Screen, agents: readonly string[]) {
    const nameChars = Math.max(...agents.map((agent) => agent.length));
    const format = (_options: Options, { maxWidth }: Params, { text }: { text: BarText }): string =>
      formatBar(text, nameChars, maxWidth, Math.max(...this.#restChars.values()));
    // Signals are gpuctl's own: the terminal is put right by close().
    this.#bars = new MultiBar({ stream: screen, format, hideCursor: true, gracefulExit: false });
    for (const agent of agents) {
      const text = { agent, state: "queued", percent: null, rest: "" } satisfies BarText;
      this.#restChars.set(agent, 0);
      this.#bar.set(agent, this.#bars.create(100, 0, { text }));
    }
  }

  show(job: Job): void {
    this.#update({ agent: job.agent, state: job.state, percent: jobPercent(job), rest: restText(job) });
  }

  lost(job: Job, reason: string): void {
    this.#update({ agent: job.agent, state: "waiting", percent: jobPercent(job), rest: visibleText(reason) });
  }

  close(): void {
    this.#bars.update();
    this.#bars.stop();
  }

  #update(text: BarText): void {
    this.#restChars.set(text.agent, text.rest.length > MAX_ALIGNED_CHARS ? 0 : text.rest.length);
    this.#bar.get(text.agent)?.update({ text });
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
 * One line, shorter than `width`: a longer one would wrap, and the lines below be drawn over.
 * @param restChars how much room the rest has at least, so that bars one below the other are of one length
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

function restText(job: Job): string {
  const { state, completed_bytes, total_bytes, bytes_per_second, eta_seconds } = job;
  if (state === "succeeded") return formatBytes(completed_bytes);
  const parts = total_bytes === null ? [] : [`${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`];
  if (total_bytes === null && completed_bytes > 0) parts.push(formatBytes(completed_bytes));
  if (noteText(job) !== "") return [...parts, visibleText(noteText(job))].join("  ");
  if (phaseText(job) !== "") parts.push(phaseText(job));
  if (state === "running" && bytes_per_second !== null) parts.push(`${formatBytes(bytes_per_second)}/s`);
  if (state === "running" && eta_seconds !== null) parts.push(formatDuration(eta_seconds));
  return parts.join("  ");
}
