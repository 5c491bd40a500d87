// The jobs that a person means by ids, ends of ids, or models.
import { CourierError } from "../../base/errors.ts";
import { sameModel } from "../../base/model_name.ts";
import { namesText } from "../../base/order.ts";
import { isEnded, type Job } from "../../protocol.ts";
import type { Session } from "../session.ts";
import { findJob, WHOLE_ID } from "../verbs/jobs/find.ts";

/** @throws CourierError `conflict` when the word can mean several; `not_found` */
export async function findJobs(
  { courier, agents, io }: Session,
  known: readonly Job[],
  word: string,
): Promise<readonly Job[]> {
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
  const ended = known.find((each) => sameModel(each.model, word));
  const found =
    ended === undefined ? "" : `: the last one ${ended.state === "cancelled" ? "was cancelled" : ended.state}`;
  throw new CourierError("not_found", `No job and no running pull matches ${word}${found}`, {
    hint: "gpuctl jobs lists the jobs",
  });
}

/**
 * The jobs to wait for. A model means all its pulls under way, otherwise the last one of each agent.
 * @throws CourierError as `findJobs()`
 */
export async function findStarted(session: Session, known: readonly Job[], word: string): Promise<readonly Job[]> {
  const ofModel = known.filter((job) => sameModel(job.model, word));
  if (ofModel.length === 0 || findJob(known, word) !== undefined) return await findJobs(session, known, word);
  const active = ofModel.filter((job) => !isEnded(job));
  if (active.length > 0) return active;
  const byAge = ofModel.toSorted((a, b) => Date.parse(a.ended_at ?? "") - Date.parse(b.ended_at ?? ""));
  return [...new Map(byAge.map((job) => [job.agent, job])).values()];
}
