// A job in words, for lines, bars and tables.
import { formatAgo, formatBytes, formatDuration } from "../../base/format.ts";
import { isEnded, type Job } from "../../protocol.ts";

/** From 0 to 100, and 100 only when everything was downloaded; null while the size is unknown. */
export function jobPercent({ completed_bytes, total_bytes }: Job): number | null {
  if (total_bytes === null || total_bytes === 0) return null;
  return Math.min(100, Math.floor((100 * completed_bytes) / total_bytes));
}

/**
 * Its progress: `43 %, 3.9 GB of 9.1 GB, 56.0 MB/s, 1 min 33 s left`; empty when nothing is known.
 * @param nowMs by the clock of the job's box
 */
export function describeProgress(job: Job, nowMs: number, isShort = false): string {
  const { state, completed_bytes, bytes_per_second, eta_seconds } = job;
  if (state === "succeeded") return [formatBytes(completed_bytes), tookText(job)].join("");
  const parts = [amountText(job, isShort), phaseText(job)];
  if (state === "running") {
    if (bytes_per_second !== null) parts.push(`${formatBytes(bytes_per_second)}/s`);
    if (eta_seconds !== null) parts.push(`${formatDuration(eta_seconds)} left`);
  }
  parts.push(troubleText(job, nowMs));
  return parts.filter((part) => part !== "").join(", ");
}

/**
 * The parts of its row in a table that no other column has.
 * @param nowMs by the clock of the job's box
 * @param isShort for narrow places: a percentage instead of amounts
 */
export function describeJob(job: Job, nowMs: number, isShort = false): string {
  const parts = [describeProgress(job, nowMs, isShort)];
  if (job.ended_at !== null) parts.push(`ended ${formatAgo(job.ended_at, nowMs)}`);
  // The state is in a column of its own.
  if (job.error !== null && job.error !== "Cancelled") parts.push(job.error);
  return parts.filter((part) => part !== "").join(", ");
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
  const reason = waiting_for ?? note ?? "";
  // Both texts are as old as the last change of the job: only the time of the next attempt stays right.
  const [, why = reason] = /^retrying(?: in [^:]+)?: (.*)$/s.exec(reason) ?? [];
  return leftMs > 0 ? `retrying in ${formatDuration(Math.ceil(leftMs / 1000))}: ${why}` : reason;
}

/** Retries, the reason for waiting, and what a failed pull left on disk. */
function troubleText(job: Job, nowMs: number): string {
  const { retries = 0, partial_bytes: partial = null } = job;
  const parts = [];
  if (retries > 0) parts.push(`${retries} ${retries === 1 ? "retry" : "retries"}`);
  const note = noteText(job, nowMs);
  if (note !== "") parts.push(note);
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
