// Everything about one job, for a person.
import { formatAgo, formatBytes, formatDuration } from "../../base/format.ts";
import { isEnded, type Job, windowOf } from "../../protocol.ts";
import { stateTone } from "./job_table.ts";
import { jobPercent, phaseText } from "./job_text.ts";
import { attemptOf, stateWord, waitOf, withoutPause } from "./job_wait.ts";
import { formatLastSeen } from "./last_seen.ts";
import type { Pair } from "./printer.ts";

/**
 * Its fields in words, those that are known. The error is whole, with its hint.
 * @param nowMs by the clock of the job's box
 * @param lastSeenMs for how long its agent has been offline; undefined: it is online
 */
export function jobStory(job: Job, nowMs: number, lastSeenMs?: number): Pair[] {
  const word = stateWord(job, lastSeenMs);
  const isMoving = word !== "unknown" && !isEnded(job);
  return [
    ["job", job.id ?? ""],
    ["agent", job.agent],
    ["model", job.model],
    ["state", word === job.state ? word : `${word} (${job.state})`, stateTone(word)],
    ["last seen", word !== "unknown" ? "" : formatLastSeen(lastSeenMs ?? 0)],
    ["error", errorText(job), "bad"],
    ...(word === "unknown" ? [] : waitPairs(job, nowMs)),
    ["phase", phaseText(job)],
    ["progress", progressText(job)],
    ["size", job.total_bytes === null ? "" : formatBytes(job.total_bytes)],
    ["speed", job.bytes_per_second === null || !isMoving ? "" : `${formatBytes(job.bytes_per_second)}/s`],
    ["time left", job.eta_seconds === null || !isMoving ? "" : formatDuration(job.eta_seconds)],
    ["left on disk", isEnded(job) && job.partial_bytes ? formatBytes(job.partial_bytes) : ""],
    ["retries", (job.retries ?? 0) === 0 ? "" : String(job.retries)],
    ["asked by", job.requested_by ?? ""],
    ["asked at", instantText(job.created_at ?? null, nowMs)],
    ["started", instantText(job.started_at, nowMs)],
    ["ended", instantText(job.ended_at, nowMs)],
    ["took", tookText(job)],
    ...nextPairs(job, isEnded(job)),
  ];
}

function waitPairs(job: Job, nowMs: number): Pair[] {
  const wait = waitOf(job, nowMs);
  if (wait === null) return [];
  const attempt = attemptOf(job, wait);
  const next = attempt === undefined ? "" : `${wait.when === "" ? "under way" : wait.when} (attempt ${attempt})`;
  return [
    [stateWord(job) === "retrying" ? "reason" : "waits", wait.why],
    ["next attempt", next],
    // The agent's own words, with all that the reason leaves out.
    ["note", withoutPause(job.note ?? "")],
  ];
}

function errorText({ code, error }: Job): string {
  if (error === null) return code ?? "";
  return code === null || code === "cancelled" ? error : `${error} (${code})`;
}

function progressText(job: Job): string {
  const { completed_bytes, state } = job;
  const percent = jobPercent(job);
  if (state === "succeeded" || completed_bytes === 0) return "";
  return percent === null ? formatBytes(completed_bytes) : `${percent} %, ${formatBytes(completed_bytes)}`;
}

function instantText(instant: string | null, nowMs: number): string {
  return instant === null ? "" : `${instant} (${formatAgo(instant, nowMs)})`;
}

function tookText({ started_at, ended_at }: Job): string {
  const tookMs = Date.parse(ended_at ?? "") - Date.parse(started_at ?? "");
  return Number.isNaN(tookMs) ? "" : formatDuration(tookMs / 1000);
}

/** Command lines that can be typed as they are. */
function nextPairs(job: Job, hasEnded: boolean): Pair[] {
  const { id, agent, model, state } = job;
  if (state === "succeeded") return [];
  const pull = `gpuctl pull ${model} --agent ${agent}`;
  if (hasEnded) return [["to try again", pull]];
  return [
    ["to start now", windowOf(job) === null ? "" : `${pull} --now`],
    ["to follow", pull],
    ["to cancel", id === null ? "" : `gpuctl cancel ${id}`],
  ];
}
