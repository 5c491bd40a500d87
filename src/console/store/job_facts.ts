// What the views ask of a job: whether it is active, how far it is, what it waits for.
import { shortReason } from "../../base/foreign_text.ts";
import { formatBytes, formatDuration } from "../../base/format.ts";
import type { JobDocument } from "../../documents/jobs.ts";

export function isActive({ state }: JobDocument): boolean {
  return state === "queued" || state === "running" || state === "verifying";
}

/** From 0 to 1; null while the size is unknown. */
export function fractionOf({ completed_bytes, total_bytes, state }: JobDocument): number | null {
  if (state === "succeeded") return 1;
  if (total_bytes === null || total_bytes === 0) return null;
  return Math.min(1, completed_bytes / total_bytes);
}

/** `3.9 GB of 9.1 GB`, or what is known of it. */
export function amountOf({ completed_bytes, total_bytes, state }: JobDocument): string {
  if (state === "succeeded") return formatBytes(total_bytes ?? completed_bytes);
  if (total_bytes === null) return completed_bytes > 0 ? formatBytes(completed_bytes) : "";
  return `${formatBytes(completed_bytes)} of ${formatBytes(total_bytes)}`;
}

/** Why it does not move; empty while it does. @param nowMs by the clock of the job's box */
export function waitOf(job: JobDocument, nowMs: number): string {
  if (!isActive(job) || (job.bytes_per_second ?? 0) > 0) return "";
  const reason = job.waiting_for ?? job.note ?? "";
  if (reason.startsWith("waits for its window")) return reason.replace("waits", "Waits");
  const [, why = reason] = /^(?:retrying|trying again|waiting)[^:]*: (.*)$/s.exec(reason) ?? [];
  const leftS = Math.ceil((Date.parse(job.retry_at ?? "") - nowMs) / 1000);
  if (leftS > 0) return `Next attempt in ${formatDuration(leftS)}: ${shortReason(why)}`;
  if (job.retry_at === undefined || job.retry_at === null) return shortReason(reason);
  return `Next attempt now: ${shortReason(why)}`;
}

/** In seconds; null: unknown. */
export function tookOf({ started_at, ended_at }: JobDocument): number | null {
  const ms = Date.parse(ended_at ?? "") - Date.parse(started_at ?? "");
  return Number.isNaN(ms) ? null : ms / 1000;
}

export function failureOf({ state, error, code }: JobDocument): string {
  return state === "failed" ? shortReason(error ?? code ?? "No reason given") : "";
}
