// Jobs as a table.
import { isEnded, type Job } from "../../protocol.ts";
import { describeJob } from "./job_text.ts";
import type { Column } from "./table.ts";

export const JOB_COLUMNS: readonly Column[] = [
  { title: "JOB" },
  { title: "AGENT" },
  { title: "MODEL", flexible: true },
  { title: "STATE" },
  { title: "PROGRESS", flexible: true },
];
/** The end of a UUIDv7 is its random part. */
const SHORT_ID_CHARS = 12;

/**
 * One row per job, for `JOB_COLUMNS`: those under way first, then the last ended.
 * @param isShort a terminal has no room for whole ids; what reads a pipe may want them
 */
export function jobRows(jobs: readonly Job[], nowMs: (agent: string) => number, isShort: boolean): string[][] {
  const shownId = (id: string): string => (isShort ? id.slice(-SHORT_ID_CHARS) : id);
  return inOrder(jobs).map((job) => [
    shownId(job.id ?? ""),
    job.agent,
    job.model,
    job.state,
    describeJob(job, nowMs(job.agent), isShort),
  ]);
}

/** Those under way first, then the last ended. */
function inOrder(jobs: readonly Job[]): Job[] {
  const active = jobs.filter((job) => !isEnded(job));
  const ended = jobs.filter(isEnded).toSorted((a, b) => instant(b.ended_at) - instant(a.ended_at));
  return [...active, ...ended];
}

function instant(text: string | null): number {
  return Date.parse(text ?? "") || 0;
}
