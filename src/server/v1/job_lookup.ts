// Where a job is found by its id alone: refused ones, the states, the log of ends, the agents. Imports courier, errors.
import { CourierError } from "../../base/errors.ts";
import type { Job } from "../../protocol.ts";
import { readFleet } from "../known_fleet.ts";
import type { Services } from "../services.ts";

/** An agent that does not say so soon does not know it. */
const ASK_MS = 5000;

/**
 * One job, also one that ended long ago, and while the share cannot be read as it was last seen.
 * @throws CourierError `not_found`; `unavailable` when nothing was ever seen
 */
export async function findJob(services: Services, id: string, signal: AbortSignal): Promise<Job> {
  const { refusedJobs, endedJobs, courier } = services;
  const refused = refusedJobs.find(id);
  if (refused !== undefined) return refused;
  const { views, failure } = await readFleet(services);
  const job = views.flatMap(({ state }) => state?.jobs ?? []).find((candidate) => candidate.id === id);
  const known = job ?? endedJobs.find(id)?.job;
  if (known !== undefined) return known;
  if (failure === undefined) return await courier.findJob(id, { timeoutMs: ASK_MS, signal });
  throw new CourierError("not_found", `No agent told of a job ${id} when it was last seen`, { cause: failure });
}
