// The verb jobs.

import type { Courier } from "../../courier.ts";
import { jobsDocument } from "../../documents/jobs.ts";
import { isEnded, type Job } from "../../protocol.ts";
import type { Transport } from "../../transport.ts";
import { describeJob } from "../output/job_text.ts";
import type { Column } from "../output/table.ts";
import type { Session } from "../session.ts";
import { noteUnavailable } from "./models.ts";

export const JOB_COLUMNS: readonly Column[] = [
  { title: "JOB" },
  { title: "AGENT" },
  { title: "MODEL", flexible: true },
  { title: "STATE" },
  { title: "PROGRESS", flexible: true },
];
/** The end of a UUIDv7 is its random part. */
const SHORT_ID_CHARS = 12;

/** `gpuctl jobs` */
export async function listJobs({ courier, printer, transport, agents }: Session): Promise<number> {
  const found = await courier.listJobs(agents);
  if (printer.json) {
    printer.document(jobsDocument(found));
    return 0;
  }
  const rows = jobRows(found.jobs, boxClock(courier, transport), printer.isTerminal);
  if (rows.length > 0) printer.table(JOB_COLUMNS, rows);
  else printer.note("No job is known\n  Start one: gpuctl pull phi4");
  noteUnavailable(printer, found.unavailable);
  return 0;
}

/** The time by the clock of each agent's box: the times in a state are by that clock. */
export function boxClock(courier: Courier, transport: Transport): (agent: string) => number {
  const nowMs = transport.now();
  const offsetsMs = new Map(courier.lastKnownAgents().map(({ agent, state }) => [agent, state?.clock_offset_ms ?? 0]));
  return (agent) => nowMs - (offsetsMs.get(agent) ?? 0);
}

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
