// A job in words, for lines, bars and tables. Pure; imports courier's and the protocol's types, and formats.
import { formatAgo, formatBytes, formatDuration } from "../../base/format.ts";
import { isEnded, type Job } from "../../protocol.ts";

/** From 0 to 100, and 100 only when all is there; null while the size is unknown. */
export function jobPercent({ completed_bytes, total_bytes }: Job): number | null {
  if (total_bytes === null || total_bytes === 0) return null;
  return Math.min(100, Math.floor((100 * completed_bytes) / total_bytes));
}

/** How far it is: `43 %, 3.9 GB of 9.1 GB, 56.0 MB/s, 1 min 33 s left`; empty when nothing is known. */
export function describeProgress(job: Job, isShort = false): string {
  const { state, completed_bytes, bytes_per_second, eta_seconds } = job;
  if (state === "succeeded") return [formatBytes(completed_bytes), tookText(job)].join("");
  const parts = [amountText(job, isShort), phaseText(job)];
  if (state === "running") {
    if (bytes_per_second !== null) parts.push(`${formatBytes(bytes_per_second)}/s`);
    if (eta_seconds !== null) parts.push(`${formatDuration(eta_seconds)} left`);
  }
  parts.push(troubleText(job));
  return parts.filter((part) => part !== "").join(", ");
}

/**
 * Everything about it that its row in a table does not say elsewhere.
 * @param isShort where there is little room: the percentage does for the amounts
 */
export function describeJob(job: Job, nowMs: number, isShort = false): string {
  const parts = [describeProgress(job, isShort)];
  if (job.ended_at !== null) parts.push(`ended ${formatAgo(job.ended_at, nowMs)}`);
  if (job.error !== null) parts.push(job.error);
  return parts.filter((part) => part !== "").join(", ");
}

/** What its state alone does not say. */
export function phaseText({ state, phase, total_bytes }: Job): string {
  if (state !== "running") return "";
  if (phase === "manifest" && total_bytes === null) return "asking the registry";
  return phase === "writing" ? "writing the manifest" : "";
}

/** Why it does not move: while it does, speed and time left say more than its note. */
export function noteText(job: Job): string {
  if (isEnded(job) || (job.bytes_per_second ?? 0) > 0) return "";
  const { note = null, waiting_for = null, retry_at = null } = job;
  // Between attempts the note says the same, with the pause.
  return retry_at === null ? (waiting_for ?? note ?? "") : (note ?? waiting_for ?? "");
}

/** Retries, the reason for waiting, and what a failed pull left on disk. */
function troubleText(job: Job): string {
  const { retries = 0, partial_bytes: partial = null } = job;
  const parts = [];
  if (retries > 0) parts.push(`${retries} ${retries === 1 ? "retry" : "retries"}`);
  if (noteText(job) !== "") parts.push(noteText(job));
  if (partial !== null && partial > 0 && isEnded(job)) parts.push(`${formatBytes(partial)} remain on disk`);
  return parts.join(", ");
}

function amountText(job: Job, isShort: boolean): string {
  const { completed_bytes, total_bytes } = job;
  const percent = jobPercent(job);
  if (percent !== null && isShort && !isEnded(job)) return `${percent} %`;
  if (percent !== null && total_bytes !== null)
    return `${percent} %, ${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`;
  return completed_bytes > 0 ? formatBytes(completed_bytes) : "";
}

function tookText({ started_at, ended_at }: Job): string {
  const tookMs = Date.parse(ended_at ?? "") - Date.parse(started_at ?? "");
  return Number.isNaN(tookMs) ? "" : ` in ${formatDuration(tookMs / 1000)}`;
}
