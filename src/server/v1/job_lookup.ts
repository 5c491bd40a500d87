// Finds a job by its id: among refused jobs, in the states, in the log of ends, then by asking the agents.
import { CourierError } from "../../base/errors.ts";
import type { Job } from "../../protocol.ts";
import { fleetFailure } from "../fleet/known_fleet.ts";
import type { Services } from "../services.ts";

/**
 * One job, even if it ended long ago. While the share cannot be read, the job as it was last seen.
 * @throws CourierError `not_found`; `unavailable` when no agent was ever seen
 */
export async function findJob(services: Services, id: string): Promise<Job> {
  const { refusedJobs, endedJobs, jobQuestions, fleet } = services;
  const refused = refusedJobs.find(id);
  if (refused !== undefined) return refused;
  const failure = await fleetFailure(services);
  const known = fleet.index.job(id) ?? endedJobs.find(id)?.job;
  if (known !== undefined) return known;
  if (failure === undefined) return await jobQuestions.find(id);
  throw new CourierError("not_found", `No agent had a job ${id} when it was last seen`, {
    hint: "GET /v1/jobs lists the jobs that are known",
    cause: failure,
  });
}
