// Which jobs a list shows.
import { CourierError } from "../../../base/errors.ts";
import { isEnded, type Job, JobState } from "../../../protocol.ts";
import { inOrder } from "../../output/job_table.ts";
import { stateWord } from "../../output/job_wait.ts";

/** `retrying` is no state of the protocol, but what a table shows of a job that waits for its next attempt. */
export const STATES: readonly string[] = [...JobState.options, "retrying"];

export interface JobChoice {
  /** Undefined: all. */
  readonly states: readonly string[] | undefined;
  /** Only those that have not ended. */
  readonly isActive: boolean;
  /** How many of those that ended; the others are always shown. */
  readonly limit: number;
}

/** A value of `--state`. @throws CourierError `invalid` */
export function parseState(text: string): string {
  if (STATES.includes(text)) return text;
  throw new CourierError("invalid", `Unknown state "${text}"`, { hint: `States: ${STATES.join(", ")}` });
}

export interface ChosenJobs {
  /** In the order of a table. */
  readonly shown: readonly Job[];
  /** How many ended ones are beyond the limit. */
  readonly older: number;
}

export function chooseJobs(jobs: readonly Job[], { states, isActive, limit }: JobChoice): ChosenJobs {
  const isMeant = (job: Job): boolean =>
    states === undefined || states.includes(job.state) || states.includes(stateWord(job));
  const meant = inOrder(jobs.filter((job) => isMeant(job) && !(isActive && isEnded(job))));
  const ended = meant.filter(isEnded);
  const shown = [...meant.filter((job) => !isEnded(job)), ...ended.slice(0, limit)];
  return { shown, older: Math.max(0, ended.length - limit) };
}
