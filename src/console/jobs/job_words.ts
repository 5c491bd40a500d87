// A job in words: its state, and what it is doing now.
import { formatBytes, formatDuration } from "../../base/format.ts";
import type { JobDocument } from "../../documents/jobs.ts";
import type { Tone } from "../parts/status.tsx";
import { amountOf, fractionOf, tookOf, waitOf } from "../store/job_facts.ts";

interface JobState {
  readonly tone: Tone;
  readonly words: string;
}

/** @param isAway its box does not report: nobody knows whether it still runs */
export function stateOf(job: JobDocument, isAway: boolean): JobState {
  const { state, bytes_per_second: speed, retry_at: retryAt } = job;
  switch (state) {
    case "queued":
      return { tone: "idle", words: isAway ? "Unknown" : "Queued" };
    case "running":
      if (isAway) return { tone: "idle", words: "Unknown" };
      return (retryAt ?? null) !== null && (speed ?? 0) === 0
        ? { tone: "warn", words: "Retrying" }
        : { tone: "busy", words: "Pulling" };
    case "verifying":
      return { tone: isAway ? "idle" : "busy", words: isAway ? "Unknown" : "Verifying" };
    case "succeeded":
      return { tone: "good", words: "Succeeded" };
    case "failed":
      return { tone: "bad", words: "Failed" };
    case "cancelled":
      break;
  }
  return { tone: "idle", words: "Canceled" };
}

export function percentText(job: JobDocument): string {
  const fraction = fractionOf(job);
  return fraction === null ? "" : `${Math.floor(fraction * 100)} %`;
}

/** `3.9 GB of 9.1 GB`, `56.0 MB/s`, `1 min 33 s left`: the parts that are known. */
export function progressParts(job: JobDocument): readonly string[] {
  const { state, phase, bytes_per_second: speed, eta_seconds: left, total_bytes: total } = job;
  if (state === "queued") return ["Waiting for its turn"];
  const parts = [amountOf(job)];
  if (phase === "manifest" && total === null) parts.push("asking the registry");
  if (phase === "writing") parts.push("writing the manifest");
  if (speed !== null && speed > 0) parts.push(`${formatBytes(speed)}/s`);
  if (left !== null && state === "running") parts.push(`${formatDuration(left)} left`);
  return parts.filter((part) => part !== "");
}

/** Why it does not move, and how often it was tried. @param nowMs by the clock of its box */
export function troubleOf(job: JobDocument, nowMs: number): string {
  const retries = job.retries ?? 0;
  const wait = waitOf(job, nowMs);
  const tried = retries === 0 ? "" : `${retries} ${retries === 1 ? "retry" : "retries"} so far`;
  return [wait, tried].filter((part) => part !== "").join(" · ");
}

export function tookText(job: JobDocument): string {
  const seconds = tookOf(job);
  return seconds === null ? "" : formatDuration(seconds);
}
