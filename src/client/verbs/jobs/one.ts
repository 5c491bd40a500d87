// The verb jobs with an id: everything about one job.
import { CourierError } from "../../../base/errors.ts";
import type { Job } from "../../../protocol.ts";
import { boxClock } from "../../box_clock.ts";
import { jobStory } from "../../output/job_story.ts";
import { lastSeen } from "../../output/last_seen.ts";
import type { Session } from "../../session.ts";
import { findJob, WHOLE_ID } from "./find.ts";

/** @param word a job's id, or its beginning or end */
export async function showJob(session: Session, word: string): Promise<number> {
  const { printer, courier } = session;
  const job = await lookUp(session, word);
  const seen = lastSeen(courier.lastKnownAgents());
  if (printer.json) printer.document(job);
  else printer.pairs(jobStory(job, boxClock(session)(job.agent), seen(job.agent)));
  return 0;
}

async function lookUp({ courier, agents, io }: Session, word: string): Promise<Job> {
  const { jobs } = await courier.listJobs(agents);
  const found = findJob(jobs, word);
  if (found !== undefined) return found;
  // One that ended long ago is not in the states.
  if (WHOLE_ID.test(word)) return await courier.findJob(word, { signal: io.signal });
  throw new CourierError("not_found", `No job has an id that begins or ends with ${word}`, {
    hint: "gpuctl jobs lists the jobs",
  });
}
