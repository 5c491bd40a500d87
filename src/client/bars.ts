// How a pull is told on a terminal: one bar per agent. Imports cli-progress, the protocol's types, formats, progress.
import { MultiBar, type Options, type Params, type SingleBar } from "cli-progress";
import { formatBytes, formatDuration, visibleText } from "../format.ts";
import { isEnded, type Job } from "../protocol.ts";
import type { Screen } from "./io.ts";
import { jobPercent, phaseText } from "./job_text.ts";
import type { Progress } from "./progress.ts";

const DEFAULT_WIDTH = 80;
const MAX_BAR_CHARS = 30;
const MIN_BAR_CHARS = 5;
/** The longest state, `succeeded`; a column as wide keeps the bars in line. */
const STATE_CHARS = 9;

export class BarProgress implements Progress {
  readonly #bars: MultiBar;
  readonly #bar = new Map<string, SingleBar>();

  /** @param agents all that there will be, in order */
  constructor(screen: Screen, agents: readonly string[]) {
    const nameChars = Math.max(...agents.map((agent) => agent.length));
    const format = (_options: Options, { maxWidth }: Params, { text }: { text: BarText }): string =>
      formatBar(text, nameChars, maxWidth);
    // Signals are gpuctl's own: the terminal is put right by close().
    this.#bars = new MultiBar({ stream: screen, format, hideCursor: true, gracefulExit: false });
    for (const agent of agents) {
      const text = { agent, state: "queued", percent: null, rest: "" } satisfies BarText;
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
    this.#bar.get(text.agent)?.update({ text });
  }
}

/** What stands on one line, from left to right. */
export interface BarText {
  readonly agent: string;
  readonly state: string;
  readonly percent: number | null;
  readonly rest: string;
}

/** One line, shorter than `width`: a longer one would wrap, and the lines below be drawn over. */
export function formatBar({ agent, state, percent, rest }: BarText, nameChars: number, width: number): string {
  const head = `${agent.padEnd(nameChars)}  ${state.padEnd(STATE_CHARS)}  `;
  const tail = `${percent === null ? "    " : `${percent} %`.padStart(5)}  ${rest}`;
  const chars = Math.min(MAX_BAR_CHARS, (width || DEFAULT_WIDTH) - head.length - tail.length - 3);
  const full = Math.round((chars * (percent ?? 0)) / 100);
  const bar = chars < MIN_BAR_CHARS ? "" : `${"█".repeat(full)}${"░".repeat(chars - full)}  `;
  return `${head}${bar}${tail}`.slice(0, Math.max(1, width - 1)).trimEnd();
}

function restText(job: Job): string {
  const { state, completed_bytes, total_bytes, bytes_per_second, eta_seconds, note = null } = job;
  if (state === "succeeded") return formatBytes(completed_bytes);
  const parts = total_bytes === null ? [] : [`${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`];
  if (total_bytes === null && completed_bytes > 0) parts.push(formatBytes(completed_bytes));
  // A note says why it does not move: it has the room of what would then say nothing.
  if (note !== null && !isEnded(job)) return [...parts, visibleText(note)].join("  ");
  if (phaseText(job) !== "") parts.push(phaseText(job));
  if (state === "running" && bytes_per_second !== null) parts.push(`${formatBytes(bytes_per_second)}/s`);
  if (state === "running" && eta_seconds !== null) parts.push(formatDuration(eta_seconds));
  return parts.join("  ");
}
