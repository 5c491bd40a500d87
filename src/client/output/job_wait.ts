// Why a job does not move, read from the notes of all releases of the agent.
import { shortReason } from "../../base/foreign_text.ts";
import { formatDuration } from "../../base/format.ts";
import { isRetrying } from "../../documents/jobs.ts";
import { isEnded, type Job, RETRY_NOTE, windowOf } from "../../protocol.ts";

/** The state of a job in a word for people: a job that waits for its next attempt does not run. */
export type StateWord = Job["state"] | "retrying" | "unknown";

export interface Wait {
  /** `in 32 s`, or empty when the next attempt has begun or its time is unknown. */
  readonly when: string;
  /** Without what Ollama lists in front of it. */
  readonly why: string;
}

/** @param lastSeenMs for how long its agent has been offline: nobody knows whether it still runs */
export function stateWord(job: Job, lastSeenMs?: number): StateWord {
  if (lastSeenMs !== undefined && !isEnded(job)) return "unknown";
  return isRetrying(job) ? "retrying" : job.state;
}

/**
 * What it waits for; null while it moves or when it gives no reason: its speed and time left are worth more than a note.
 * @param nowMs by the clock of the job's box
 */
export function waitOf(job: Job, nowMs: number): Wait | null {
  if (isMoving(job)) return null;
  const window = windowOf(job);
  // The next attempt is hours away: the time of day says more.
  if (window !== null) return { when: "", why: `for its window until ${window} (pull --now)` };
  const leftMs = Date.parse(job.retry_at ?? "") - nowMs;
  const reason = reasonOf(job);
  const [, inTime, pause, why = reason.replace(/^queued /, "")] = RETRY_NOTE.exec(reason) ?? [];
  // A text is as old as the last change of the job: only the time of the next attempt stays right.
  const said = inTime ?? pause;
  const when = leftMs > 0 ? countdown(leftMs / 1000) : Number.isNaN(leftMs) ? said : undefined;
  const wait = { when: when === undefined ? "" : `in ${when}`, why: shortReason(why) };
  return wait.when === "" && wait.why === "" ? null : wait;
}

/** A note of the agent without the pause in front: it is as old as the note, and `waitOf()` has the time that is left. */
export function withoutPause(note: string): string {
  return RETRY_NOTE.exec(note)?.[3] ?? note;
}

/** Seconds matter only within the last minute. */
function countdown(seconds: number): string {
  const step = seconds > 60 ? 60 : 1;
  return formatDuration(Math.ceil(seconds / step) * step);
}

/** The number of the attempt that it waits for, or that is under way; undefined for the first. */
export function attemptOf(job: Job, { when }: Wait): number | undefined {
  if (stateWord(job) !== "retrying") return undefined;
  // Its time may have come before the box reports that it began.
  const hasBegun = when === "" && (job.retry_at ?? null) === null;
  return (job.retries ?? 0) + (hasBegun ? 1 : 2);
}

function isMoving(job: Job): boolean {
  return isEnded(job) || (job.bytes_per_second ?? 0) > 0;
}

function reasonOf({ waiting_for = null, note = null }: Job): string {
  return waiting_for ?? note ?? "";
}
