// A job in words, for lines, bars and tables.
import { shortReason } from "../../base/foreign_text.ts";
import { formatAgo, formatBytes, formatDuration } from "../../base/format.ts";
import { isEnded, type Job, windowOf } from "../../protocol.ts";
import { countText } from "./counts.ts";
import { waitOf } from "./job_wait.ts";
import { formatLastSeen } from "./last_seen.ts";

/** From 0 to 100, and 100 only when everything was downloaded; null while the size is unknown. */
export function jobPercent({ completed_bytes, total_bytes }: Job): number | null {
  if (total_bytes === null || total_bytes === 0) return null;
  return Math.min(100, Math.floor((100 * completed_bytes) / total_bytes));
}

/**
 * Its progress: `43 %, 3.9 GB of 9.1 GB, 56.0 MB/s, 1 min 33 s left`; empty when nothing is known.
 * @param nowMs by the clock of the job's box
 */
export function describeProgress(job: Job, nowMs: number): string {
  if (job.state === "succeeded") return [formatBytes(job.completed_bytes), tookText(job)].join("");
  const parts = [amountText(job), phaseText(job), ...paceTexts(job), troubleText(job, nowMs)];
  return joined(parts);
}

/**
 * The parts of its row in a pipe that no other column has.
 * @param nowMs by the clock of the job's box
 * @param lastSeenMs for how long its agent has been offline; undefined: it is online
 */
export function describeJob(job: Job, nowMs: number, lastSeenMs?: number): string {
  if (lastSeenMs !== undefined && !isEnded(job)) return whenLastSeen(amountText(job), formatLastSeen(lastSeenMs));
  const parts = [describeProgress(job, nowMs)];
  if (job.ended_at !== null) parts.push(`ended ${formatAgo(job.ended_at, nowMs)}`);
  // The state is in a column of its own.
  if (job.error !== null && job.error !== "Cancelled") parts.push(job.error);
  return joined(parts);
}

/**
 * As `describeJob()`, for the short row of a terminal: what matters comes first, because the end may be cut.
 * @param nowMs by the clock of the job's box
 * @param lastSeenMs as for `describeJob()`
 */
export function summarizeJob(job: Job, nowMs: number, lastSeenMs?: number): string {
  const { state, error, retries = 0 } = job;
  if (!isEnded(job) && lastSeenMs !== undefined) return whenLastSeen(shortAmount(job), shortAgo(lastSeenMs / 1000));
  if (!isEnded(job)) return activeText(job, nowMs);
  const ago = shortAgo((nowMs - Date.parse(job.ended_at ?? "")) / 1000);
  if (state === "succeeded") return joined([formatBytes(job.completed_bytes), ago]);
  if (state === "failed") return joined([ago, factOf(job, shortReason(error ?? job.code ?? ""))], ": ");
  return retries === 0 ? ago : `${ago}, after ${countText(retries, "retry", "retries")}`;
}

/** In the largest unit: `5m ago`. */
function shortAgo(seconds: number): string {
  if (Number.isNaN(seconds)) return "";
  const unit = [86_400, 3_600, 60].find((each) => seconds >= each) ?? 1;
  return seconds < 1 ? "just now" : `${shortDuration(Math.floor(seconds / unit) * unit)} ago`;
}

/** `1m48s`: a row has little room. */
function shortDuration(seconds: number): string {
  return formatDuration(seconds).replace("min", "m").replaceAll(" ", "");
}

function activeText(job: Job, nowMs: number): string {
  const amount = shortAmount(job);
  const wait = waitOf(job, nowMs);
  if (windowOf(job) !== null) {
    const seconds = Math.max(0, Math.ceil((Date.parse(job.retry_at ?? "") - nowMs) / 1000)) || 0;
    return joined([amount, `its window opens in ${shortDuration(seconds)}`]);
  }
  if (wait === null) return joined([amount, phaseText(job), ...paceTexts(job, shortDuration)]);
  return joined([joined([amount, wait.when]), factOf(job, wait.why)], ": ");
}

function shortAmount(job: Job): string {
  const percent = jobPercent(job);
  return percent === null ? (job.completed_bytes > 0 ? formatBytes(job.completed_bytes) : "") : `${percent} %`;
}

/** `36 % when last seen 4m ago`: a speed, or a time left, would be as old. */
function whenLastSeen(amount: string, ago: string): string {
  return joined([amount, `last seen ${ago}`], " when ");
}

/** Without the registry, which the model's name shows: it names another one than Ollama's own. */
function factOf({ model }: Job, reason: string): string {
  if (/^\S+ has no model \S/.test(reason)) return "no such model";
  const [whole = "", host = ""] = /^([\w.:-]+): /.exec(reason) ?? [];
  return host === OLLAMA_REGISTRY || model.startsWith(`${host}/`) ? reason.slice(whole.length) : reason;
}

const OLLAMA_REGISTRY = "registry.ollama.ai";

/** Those that are not empty. */
function joined(parts: readonly string[], separator = ", "): string {
  return parts.filter((part) => part !== "").join(separator);
}

/** The part of a running pull that its state does not show. */
export function phaseText({ state, phase, total_bytes }: Job): string {
  if (state !== "running") return "";
  if (phase === "manifest" && total_bytes === null) return "asking the registry";
  return phase === "writing" ? "writing the manifest" : "";
}

/**
 * Why it does not move; empty while it does, because its speed and time left are worth more than a note.
 * @param nowMs by the clock of the job's box
 */
export function noteText(job: Job, nowMs: number): string {
  if (isEnded(job) || (job.bytes_per_second ?? 0) > 0) return "";
  const { note = null, waiting_for = null, retry_at = null } = job;
  const leftMs = Date.parse(retry_at ?? "") - nowMs;
  if (windowOf(job) !== null) return `${waiting_for} (pull --now)`;
  const reason = waiting_for ?? note ?? "";
  // Both texts are as old as the last change of the job: only the time of the next attempt stays right.
  const [, said = "", why = reason] = /^((?:retrying|trying again|waiting)[^:]*: )(.*)$/s.exec(reason) ?? [];
  const short = shortReason(why);
  return leftMs > 0 ? `retrying in ${formatDuration(Math.ceil(leftMs / 1000))}: ${short}` : `${said}${short}`;
}

/** Retries, the reason for waiting, and what a failed pull left on disk. */
function troubleText(job: Job, nowMs: number): string {
  const { retries = 0, partial_bytes: partial = null } = job;
  const parts = [];
  if (retries > 0) parts.push(countText(retries, "retry", "retries"));
  const note = noteText(job, nowMs);
  if (note !== "") parts.push(note);
  if (partial !== null && partial > 0 && isEnded(job)) parts.push(`${formatBytes(partial)} remain on disk`);
  return parts.join(", ");
}

/** Speed and time left of a running job, as far as they are known. */
function paceTexts({ state, bytes_per_second, eta_seconds }: Job, duration = formatDuration): string[] {
  if (state !== "running") return [];
  return [
    ...(bytes_per_second === null ? [] : [`${formatBytes(bytes_per_second)}/s`]),
    ...(eta_seconds === null ? [] : [`${duration(eta_seconds)} left`]),
  ];
}

function amountText(job: Job): string {
  const { completed_bytes, total_bytes } = job;
  const percent = jobPercent(job);
  if (percent !== null && total_bytes !== null)
    return `${percent} %, ${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`;
  return completed_bytes > 0 ? formatBytes(completed_bytes) : "";
}

function tookText({ started_at, ended_at }: Job): string {
  const tookMs = Date.parse(ended_at ?? "") - Date.parse(started_at ?? "");
  return Number.isNaN(tookMs) ? "" : ` in ${formatDuration(tookMs / 1000)}`;
}
