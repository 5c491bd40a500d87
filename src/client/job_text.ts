// A job in words, for lines, bars and tables. Pure; imports courier's and the protocol's types, and formats.

import { formatAgo, formatBytes, formatDuration } from "../format.ts";
import type { Job } from "../protocol.ts";

/** From 0 to 100, and 100 only when all is there; null while the size is not known. */
export function jobPercent({ completed_bytes, total_bytes }: Job): number | null {
  if (total_bytes === null || total_bytes === 0) return null;
  return Math.min(100, Math.floor((100 * completed_bytes) / total_bytes));
}

/** How far it is: `43 %, 3.9 GB of 9.1 GB, 56.0 MB/s, 1 min 33 s left`; empty when nothing is known. */
export function describeProgress(job: Job): string {
  const { state, completed_bytes, bytes_per_second, eta_seconds } = job;
  if (state === "succeeded") return [formatBytes(completed_bytes), tookText(job)].join("");
  const parts = [amountText(job)];
  if (state === "running") {
    if (bytes_per_second !== null) parts.push(`${formatBytes(bytes_per_second)}/s`);
    if (eta_seconds !== null) parts.push(`${formatDuration(eta_seconds)} left`);
  }
  return parts.filter((part) => part !== "").join(", ");
}

/** Everything about it that its row in a table does not say elsewhere. */
export function describeJob(job: Job, nowMs: number): string {
  const parts = [describeProgress(job)];
  if (job.ended_at !== null) parts.push(`ended ${formatAgo(job.ended_at, nowMs)}`);
  if (job.error !== null) parts.push(job.error);
  return parts.filter((part) => part !== "").join(", ");
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
