// The progress of one pull as a line on a terminal, or two while it waits for a long reason.
import { shortReason } from "../../base/foreign_text.ts";
import { formatBytes, formatDuration, visibleText } from "../../base/format.ts";
import { cutText, type Paint, type Tone } from "../../program/style.ts";
import type { Job } from "../../protocol.ts";
import { stateTone } from "./job_table.ts";
import { jobPercent, phaseText } from "./job_text.ts";
import { attemptOf, stateWord, waitOf } from "./job_wait.ts";

/** The parts of one line, from left to right. */
export interface PullLine {
  /** Which pull it is. */
  readonly name: string;
  readonly state: string;
  readonly tone: Tone | null;
  readonly percent: number | null;
  /** Amounts, speed and time left: on a narrow terminal the last are left out. */
  readonly parts: readonly string[];
  /** Why it does not move; empty when it does. It may need a line of its own. */
  readonly reason: string;
}

/** What the lines of several agents have in common, so that they are in columns. */
export interface PullLayout {
  readonly nameChars: number;
  /** In columns. */
  readonly width: number;
  /** The longest rest, which makes all bars equally long. */
  readonly restChars: number;
  readonly paint: Paint;
}

const MAX_BAR_CHARS = 30;
const MIN_BAR_CHARS = 5;
/** The longest state, `succeeded`; a column as wide keeps the bars in line. */
const STATE_CHARS = 9;
const GAP = "  ";

/** @param nowMs by the clock of the job's box */
export function pullLine(job: Job, nowMs: number): PullLine {
  const { agent, state, error, completed_bytes, total_bytes, bytes_per_second, eta_seconds } = job;
  const word = stateWord(job);
  const line = { name: agent, state: word, tone: stateTone(word), percent: jobPercent(job), reason: "" };
  if (state === "succeeded") return { ...line, parts: [formatBytes(completed_bytes)] };
  // Of one that never began: an empty bar is no help. The whole error follows below all lines.
  if (state === "failed" && line.percent === null)
    return { ...line, parts: [], reason: visibleText(shortReason(error ?? ""), " ") };
  const parts = total_bytes === null ? [] : [`${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`];
  if (total_bytes === null && completed_bytes > 0) parts.push(formatBytes(completed_bytes));
  const wait = waitOf(job, nowMs);
  if (wait !== null) {
    const attempt = attemptOf(job, wait);
    const reason = [visibleText(wait.why, " "), ...(attempt === undefined ? [] : [`(attempt ${attempt})`])].join(GAP);
    return { ...line, state: [word, wait.when].filter((part) => part !== "").join(" "), parts, reason };
  }
  if (phaseText(job) !== "") parts.push(phaseText(job));
  if (state === "running" && bytes_per_second !== null) parts.push(`${formatBytes(bytes_per_second)}/s`);
  if (state === "running" && eta_seconds !== null) parts.push(formatDuration(eta_seconds));
  return { ...line, parts };
}

/** Of a line with a bar: what is right of it. */
export function restChars({ parts, reason }: PullLine): number {
  return reason === "" ? parts.join(GAP).length : 0;
}

/** One line, not wider than `width`, or two when the reason does not fit and `mayAdd`. */
export function formatPull(line: PullLine, layout: PullLayout, mayAdd: boolean): string[] {
  const { name, state, tone, percent, parts, reason } = line;
  const { nameChars, width, paint } = layout;
  const head = `${name.padEnd(nameChars)}${GAP}${paint(state, tone)}`;
  if (reason === "") return [formatBar(line, layout)];
  const amounts = percent === null ? parts : [`${percent} %`, ...parts];
  const start = [head, ...amounts].join(GAP);
  const whole = `${start}${GAP}${reason}`;
  if (Bun.stringWidth(whole) <= width) return [whole];
  if (mayAdd && state !== "failed")
    return [cutText(start, width), cutText(`${" ".repeat(nameChars)}${GAP}${reason}`, width)];
  // The reason is worth more than the amounts.
  return [cutText(`${head}${GAP}${reason}`, width)];
}

function formatBar({ name: bare, state, tone, percent, parts }: PullLine, layout: PullLayout): string {
  const { nameChars, width, restChars: longest, paint } = layout;
  const name = bare.padEnd(nameChars);
  const left = name.length + STATE_CHARS + 2 * GAP.length;
  const percentText = (percent === null ? "" : `${percent} %`).padStart(5);
  const room = width - left - percentText.length - GAP.length;
  const rest = fittingParts(parts, room);
  const chars = Math.min(MAX_BAR_CHARS, room - GAP.length - Math.max(longest, rest.length));
  const full = Math.round((chars * (percent ?? 0)) / 100);
  const bar =
    chars < MIN_BAR_CHARS ? "" : `${paint("█".repeat(full), tone)}${paint("░".repeat(chars - full), "faint")}${GAP}`;
  const stateText = `${paint(state, tone)}${" ".repeat(Math.max(0, STATE_CHARS - state.length))}`;
  return cutText(`${name}${GAP}${stateText}${GAP}${bar}${percentText}${GAP}${rest}`.trimEnd(), width);
}

/** Those that fit, the first ones first. */
function fittingParts(parts: readonly string[], room: number): string {
  let text = "";
  for (const part of parts) {
    const longer = text === "" ? part : `${text}${GAP}${part}`;
    if (longer.length <= room) text = longer;
  }
  return text;
}
