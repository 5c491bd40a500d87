// The verb jobs with words: everything about one job, or the list of those that the words mean.
import { CourierError } from "../../../base/errors.ts";
import { sameModel } from "../../../base/model_name.ts";
import type { Refused } from "../../../documents/contact.ts";
import { namedIn } from "../../../program/desired/named_boxes.ts";
import type { Job } from "../../../protocol.ts";
import { boxClock } from "../../box_clock.ts";
import { jobStory } from "../../output/job_story.ts";
import { lastSeen } from "../../output/last_seen.ts";
import type { Session } from "../../session.ts";
import { findJob, WHOLE_ID } from "./find.ts";

/** What words mean, of all that is known. */
export interface NamedJobs {
  /** The only word is a job's id, or a part of it. */
  readonly only: Job | undefined;
  readonly jobs: readonly Job[];
  /** Refused commands of the models that are named. */
  readonly refused: readonly Refused[];
}

/**
 * @param words ids, their beginnings or ends, or models: all their pulls
 * @throws CourierError `not_found` for a word that means nothing; `conflict` for a part of several ids
 */
export async function namedJobs(
  session: Session,
  known: { readonly jobs: readonly Job[]; readonly refused: readonly Refused[] },
  words: readonly string[],
): Promise<NamedJobs> {
  const found = await Promise.all(words.map(async (word) => await named(session, known, word)));
  const meant = new Set(found.flatMap(({ jobs }) => jobs));
  const listed = known.jobs.filter((job) => meant.has(job));
  return {
    only: words.length === 1 ? found[0]?.only : undefined,
    jobs: [...new Set([...listed, ...meant])],
    refused: found.flatMap(({ refused }) => refused),
  };
}

async function named(
  session: Session,
  known: { readonly jobs: readonly Job[]; readonly refused: readonly Refused[] },
  word: string,
): Promise<NamedJobs> {
  const byId = findJob(known.jobs, word);
  if (byId !== undefined) return { only: byId, jobs: [byId], refused: [] };
  const jobs = known.jobs.filter(({ model }) => sameModel(model, word));
  const refused = known.refused.filter(({ model }) => model !== null && sameModel(model, word));
  if (jobs.length > 0 || refused.length > 0) return { only: undefined, jobs, refused };
  if (!WHOLE_ID.test(word)) throw unknown(session, word);
  // One that ended long ago is not in the states.
  const old = await session.courier.findJob(word, { signal: session.io.signal });
  return { only: old, jobs: [old], refused: [] };
}

function unknown({ courier }: Session, word: string): CourierError {
  const isAgent = isOfAgents(word) || courier.lastKnownAgents().some(({ agent }) => agent === word);
  const hint = isAgent ? `The jobs of agents: gpuctl jobs --agent '${word}'` : "gpuctl jobs lists the jobs";
  return new CourierError("not_found", `No job matches ${word}`, { hint });
}

/** A pattern or range of boxes is no part of an id. */
export function isOfAgents(word: string): boolean {
  return /[[*?]/.test(word) && namedIn(word) !== undefined;
}

export function showJob(session: Session, job: Job): void {
  const { printer, courier } = session;
  const seen = lastSeen(courier.lastKnownAgents());
  if (printer.json) printer.document(job);
  else printer.pairs(jobStory(job, boxClock(session)(job.agent), seen(job.agent)));
}
