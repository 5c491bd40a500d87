// Which jobs a list shows.
import { CourierError } from "../../../base/errors.ts";
import { isEnded, type Job, JobState } from "../../../protocol.ts";
import { inOrder } from "../../output/job_table.ts";
import { stateWord } from "../../output/job_wait.ts";
import type { LastSeen } from "../../output/last_seen.ts";

/**
 * No states of the protocol, but what a table shows: `retrying` of a job that waits for its next attempt, `unknown` of one
 * whose agent is offline.
 */
export const STATES: readonly string[] = [...JobState.options, "retrying", "unknown"];

export interface JobChoice {
  /** Undefined: all. */
  readonly states: readonly string[] | undefined;
  /** Only those that have not ended. */
  readonly isActive: boolean;
  /** How many in all: first those that have not ended. */
  readonly limit: number;
  /** How many of those that ended. */
  readonly endedLimit: number;
}

/** A value of `--state`. @throws CourierError `invalid` */
export function parseState(text: string): string {
  if (STATES.includes(text)) return text;
  throw new CourierError("invalid", `Unknown state "${text}"`, { hint: `States: ${STATES.join(", ")}` });
}

export interface ChosenJobs {
  /** In the order of a table. */
  readonly shown: readonly Job[];
  /** How many there are without the limits. */
  readonly total: number;
}

export function chooseJobs(
  jobs: readonly Job[],
  { states, isActive, limit, endedLimit }: JobChoice,
  lastSeen: LastSeen,
): ChosenJobs {
  const isMeant = (job: Job): boolean =>
    states === undefined || states.includes(job.state) || states.includes(stateWord(job, lastSeen(job.agent)));
  const meant = inOrder(
    jobs.filter((job) => isMeant(job) && !(isActive && isEnded(job))),
    lastSeen,
  );
  const ended = meant.filter(isEnded).slice(0, endedLimit);
  const shown = [...meant.filter((job) => !isEnded(job)), ...ended].slice(0, limit);
  return { shown, total: meant.length };
}
