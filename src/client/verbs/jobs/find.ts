// Finds a job by its id, or by a part that people see or type of it.
import { CourierError } from "../../../base/errors.ts";
import { onlyJob } from "../../../courier/lists.ts";
import { firstOf } from "../../../courier/named.ts";
import { isEnded, type Job } from "../../../protocol.ts";

/** Of one that no list shows, for which the agents can be asked. */
export const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** `gpuctl jobs` shows the last 8 on a terminal. */
const MIN_PART_CHARS = 4;
/** Of the ids that fit, in the hint. */
const SHOWN = 5;

/**
 * The job of this id, or whose id ends so, or begins so. Of several whose ids end so, the one that is under way; ids that begin
 * alike only say that the jobs are about as old.
 * @returns undefined: none of these jobs
 * @throws CourierError `conflict` when it can be several
 */
export function findJob(jobs: readonly Job[], id: string): Job | undefined {
  const exact = onlyJob(id, jobs);
  if (exact !== undefined) return exact;
  if (id.length < MIN_PART_CHARS) return undefined;
  const ending = jobs.filter((job) => job.id?.endsWith(id) === true);
  const isEnd = ending.length > 0;
  const fitting = isEnd ? ending : jobs.filter((job) => job.id?.startsWith(id) === true);
  const active = isEnd ? fitting.filter((job) => !isEnded(job)) : [];
  const candidates = active.length > 0 ? active : fitting;
  if (candidates.length > 1)
    throw new CourierError("conflict", `Several jobs have an id that ${isEnd ? "ends" : "begins"} with ${id}`, {
      hint: `Use more of the id: ${firstOf(candidates, (job) => job.id ?? "", ", ", SHOWN)}`,
    });
  return candidates[0];
}
