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
  const { refusedJobs, endedJobs, jobQuestions, fleet, audit } = services;
  const refused = refusedJobs.find(id);
  if (refused !== undefined) return refused;
  const failure = await fleetFailure(services);
  // Another agent may publish a job under this id: it is that of the first agent that was asked for it.
  const [sentTo] = audit.askedFor(id);
  const isMeant = (agent: string): boolean => sentTo === undefined || agent === sentTo;
  const known = fleet.index.job(id, sentTo) ?? endedJobs.find(id, isMeant)?.job;
  if (known !== undefined) return known;
  if (failure === undefined) return await jobQuestions.find(id, sentTo);
  throw new CourierError("not_found", `No agent had a job ${id} when it was last seen`, {
    hint: "GET /v1/jobs lists the jobs that are known",
    cause: failure,
  });
}
