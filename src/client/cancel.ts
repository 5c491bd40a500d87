// The verb cancel. Imports courier, its documents, errors, and the client's output.
import { jobsDocument } from "../courier/documents.ts";
import { asCourierError, CourierError } from "../errors.ts";
import { isEnded, type Job } from "../protocol.ts";
import { exitStatus, type Outcome, printOutcomes } from "./outcomes.ts";
import type { Session } from "./session.ts";

/** `gpuctl jobs` shows the last 12 on a terminal. */
const MIN_END_CHARS = 4;

/** `gpuctl cancel JOB...`: by whole ids or their ends, as `gpuctl jobs` shows them. */
export async function cancelJobs(session: Session, ids: readonly string[]): Promise<number> {
  const { courier, printer, agents, io } = session;
  const { jobs: known } = await courier.listJobs(agents);
  const jobs = await Promise.all(
    [...new Set(ids)].map(async (id) => findJob(known, id) ?? (await courier.findJob(id, { signal: io.signal }))),
  );
  const outcomes = await Promise.all(jobs.map(async (job) => await cancelJob(session, job)));
  if (printer.json) printer.document(jobsDocument({ jobs: outcomes.map((outcome) => jobAfter(outcome)) }));
  else printOutcomes(session, outcomes, "RESULT", (job) => `${job.model}: ${job.error ?? job.state}`);
  return exitStatus(
    outcomes.map(({ error }) => error?.code ?? null),
    io.signal,
  );
}

type Cancelled = Outcome<Job> & { readonly job: Job };

async function cancelJob({ courier, io }: Session, job: Job): Promise<Cancelled> {
  try {
    return { job, agent: job.agent, answer: await courier.cancelJob(job, { signal: io.signal }) };
  } catch (error) {
    return { job, agent: job.agent, error: asCourierError(error) };
  }
}

/** One that could not be cancelled is as it was, with the reason. */
function jobAfter({ job, answer, error }: Cancelled): Job {
  return answer ?? { ...job, code: error?.code ?? null, error: error?.message ?? null };
}

/**
 * The job of this id, or whose id ends so; of several, the one that is under way.
 * @returns undefined: no state tells of it
 * @throws CourierError `conflict` when it can be several; `not_found` for an end that fits none
 */
function findJob(jobs: readonly Job[], id: string): Job | undefined {
  const exact = jobs.find((job) => job.id === id);
  if (exact !== undefined) return exact;
  const fitting = id.length < MIN_END_CHARS ? [] : jobs.filter((job) => job.id?.endsWith(id) === true);
  const active = fitting.filter((job) => !isEnded(job));
  const candidates = active.length > 0 ? active : fitting;
  if (candidates.length > 1)
    throw new CourierError("conflict", `Several jobs have an id that ends with ${id}`, {
      hint: `Give more of it: ${candidates.map((job) => job.id).join(", ")}`,
    });
  return candidates[0];
}
