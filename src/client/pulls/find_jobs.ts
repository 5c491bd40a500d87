// The jobs that a person means by ids, ends of ids, or models.
import { CourierError } from "../../base/errors.ts";
import { sameModel } from "../../base/model_name.ts";
import { namesText } from "../../base/order.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { boxClock } from "../box_clock.ts";
import type { Session } from "../session.ts";
import { findJob, WHOLE_ID } from "../verbs/jobs/find.ts";

/** @throws CourierError `conflict` when the word can mean several; `not_found` */
export async function findJobs(session: Session, known: readonly Job[], word: string): Promise<readonly Job[]> {
  const { courier, agents, io } = session;
  const job = findJob(known, word);
  if (job !== undefined) return [job];
  const pulls = known.filter((each) => !isEnded(each) && sameModel(each.model, word));
  if (pulls.length > 1 && agents === undefined)
    throw new CourierError("conflict", `Several agents pull ${word}: ${namesText(pulls.map(({ agent }) => agent))}`, {
      hint: "Choose agents with --agent, or use --all",
    });
  if (pulls.length > 0) return pulls;
  // One that ended long ago is not in the states.
  if (WHOLE_ID.test(word)) return [await courier.findJob(word, { signal: io.signal })];
  const ages = jobAges(session);
  const [ended] = known.filter((each) => sameModel(each.model, word)).toSorted((a, b) => ages(a) - ages(b));
  const found =
    ended === undefined ? "" : `: the last one ${ended.state === "cancelled" ? "was cancelled" : ended.state}`;
  throw new CourierError("not_found", `No job and no running pull matches ${word}${found}`, {
    hint: "gpuctl jobs lists the jobs",
  });
}

/**
 * The jobs to wait for. A model means all its pulls under way, and the last ones that ended of those that were started with
 * them; with none under way the last one of each agent, but no earlier one that was cancelled: nobody waits for that.
 * @throws CourierError as `findJobs()`
 */
export async function findStarted(session: Session, known: readonly Job[], word: string): Promise<readonly Job[]> {
  const ofModel = known.filter((job) => sameModel(job.model, word));
  if (ofModel.length === 0 || findJob(known, word) !== undefined) return await findJobs(session, known, word);
  const ageMs = jobAges(session);
  const oldestFirst = ofModel.toSorted((a, b) => ageMs(b) - ageMs(a));
  const active = ofModel.filter((job) => !isEnded(job));
  const ended = [...new Map(oldestFirst.map((job) => [job.agent, job])).values()].filter(isEnded);
  const newestMs = Math.min(...(active.length > 0 ? active : ended).map(ageMs));
  const isEarlier = (job: Job): boolean => ageMs(job) > newestMs + TOGETHER_MS;
  const counts = (job: Job): boolean => !isEarlier(job) || (active.length === 0 && job.state !== "cancelled");
  return [...active, ...ended.filter(counts)];
}

/** One command line starts its pulls on all agents within this time. */
const TOGETHER_MS = 60_000;

/** How long ago each job was asked for, or began where an old agent does not show that. */
function jobAges(session: Session): (job: Job) => number {
  const nowMs = boxClock(session);
  return (job) => {
    const { agent, created_at = null, started_at, ended_at } = job;
    const sinceMs = Date.parse(created_at ?? started_at ?? ended_at ?? "");
    if (Number.isNaN(sinceMs)) return isEnded(job) ? Number.POSITIVE_INFINITY : 0;
    return nowMs(agent) - sinceMs;
  };
}
