// Jobs as a table.
import { compareNames } from "../../base/order.ts";
import type { Tone } from "../../program/style.ts";
import type { Job } from "../../protocol.ts";
import { describeJob, summarizeJob } from "./job_text.ts";
import { type StateWord, stateWord } from "./job_wait.ts";
import type { LastSeen } from "./last_seen.ts";
import { type Column, MODEL_NAME } from "./table.ts";

export const JOB_COLUMNS: readonly Column[] = [
  { title: "JOB", leaveOut: 1 },
  { title: "AGENT" },
  { title: "MODEL", ...MODEL_NAME, minimum: 14 },
  // `failed (not_found)` has 18, `succeeded` 9.
  { title: "STATE", flexible: true, cut: true, minimum: 9, wanted: 18, tone: stateTone },
  // `39 %, 56.0 MB/s, 1m22s left` has 27.
  { title: "PROGRESS", flexible: true, cut: true, minimum: 27 },
];
/** The end of a UUIDv7 is its random part. */
const SHORT_ID_CHARS = 8;

const TONES: Readonly<Record<StateWord, Tone | null>> = {
  queued: null,
  running: "busy",
  verifying: "busy",
  retrying: "caution",
  unknown: "caution",
  succeeded: "good",
  failed: "bad",
  cancelled: "faint",
};

/** @param word as `stateWord()` returns it, perhaps with a code behind it; any other has no color */
export function stateTone(word: string): Tone | null {
  const [first] = word.split(" ");
  return Object.entries(TONES).find(([state]) => state === first)?.[1] ?? null;
}

/** How much of each job a table shows. */
export interface JobRowStyle {
  /** The end of each id, which is enough to name the job; a pipe gets whole ids and the states of the protocol. */
  readonly isShort: boolean;
  /** Everything, however long. */
  readonly isWide?: boolean;
  readonly lastSeen: LastSeen;
}

/**
 * One row per job, for `JOB_COLUMNS`, in the order given.
 * @param nowMs the time by the clock of an agent's box
 */
export function jobRows(
  jobs: readonly Job[],
  nowMs: (agent: string) => number,
  { isShort, isWide = false, lastSeen }: JobRowStyle,
): string[][] {
  return jobs.map((job) => [
    isShort ? (job.id ?? "").slice(-SHORT_ID_CHARS) : (job.id ?? ""),
    job.agent,
    job.model,
    isShort ? stateText(job, lastSeen(job.agent)) : job.state,
    (isShort && !isWide ? summarizeJob : describeJob)(job, nowMs(job.agent), lastSeen(job.agent)),
  ]);
}

/** `failed (not_found)`: what to do depends on the code. */
function stateText(job: Job, lastSeenMs: number | undefined): string {
  const word = stateWord(job, lastSeenMs);
  return word === "failed" && job.code !== null ? `${word} (${job.code})` : word;
}

/**
 * Those that run first, then those that wait for their next attempt, then the queued ones, then those of agents that are
 * offline, then the last ended.
 */
export function inOrder(jobs: readonly Job[], lastSeen: LastSeen): Job[] {
  const rank = (job: Job): number => RANKS[stateWord(job, lastSeen(job.agent))];
  return jobs.toSorted((a, b) => rank(a) - rank(b) || instant(b.ended_at) - instant(a.ended_at) || byAgent(a, b));
}

const RANKS: Readonly<Record<StateWord, number>> = {
  running: 0,
  verifying: 0,
  retrying: 1,
  queued: 2,
  unknown: 3,
  succeeded: 4,
  failed: 4,
  cancelled: 4,
};

/** Stable, so that those of one agent stay in the order in which it runs them. */
function byAgent(a: Job, b: Job): number {
  return compareNames(a.agent, b.agent);
}

function instant(text: string | null): number {
  return Date.parse(text ?? "") || 0;
}
