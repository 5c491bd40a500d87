// POST /v1/jobs with `via: mirror`: fetches a model once, and then pulls it on the agents.
import { asCourierError, type CourierError } from "../../../base/errors.ts";
import type { Agents } from "../../../courier/selection.ts";
import type { JobsDocument } from "../../../documents/jobs.ts";
import { type PullChoices, refusedPull } from "../../fleet/start_pull.ts";
import { allUnknown, keepUnknown, startedDocument } from "../../fleet/started_pulls.ts";
import type { Services } from "../../services.ts";
import { requireMirror } from "./route.ts";

/**
 * Durable when it resolves: the pulls are sent after the fetch, also by a server that was started again meanwhile.
 * @param services of a caller that may pull on all agents
 * @returns the fetch, and a failed job for each agent that is unknown
 * @throws CourierError `not_found` when every agent is unknown; as `Fetches.add()`
 */
export async function fetchThenPull(
  services: Services,
  model: string,
  agents: Agents,
  { force = false, now = false, requestedBy }: PullChoices,
): Promise<JobsDocument> {
  const mirror = requireMirror(services);
  services.connection.requireOpen();
  const names =
    agents === "all" ? (await services.courier.choose("all")).map(({ agent }) => agent) : [...new Set(agents)];
  const faults = await Promise.all(names.map(async (agent) => await whyUnknown(services, agent)));
  const unknown = names.flatMap((agent, index) => {
    const refusal = faults[index];
    return refusal ? [refusedPull(services.courier, agent, model, { refusal, requestedBy })] : [];
  });
  if (unknown.length === names.length) throw allUnknown(unknown);
  const requested_by = requestedBy ?? null;
  const pulls = names
    .filter((_, index) => !faults[index])
    .map((agent) => ({ agent, force: flagOf(force), now: flagOf(now), requested_by }));
  const fetch = mirror.add({ model, requestedBy: requested_by, pulls });
  keepUnknown(services, unknown);
  return { ...startedDocument(unknown), fetch };
}

function flagOf(isSet: boolean): 0 | 1 {
  return isSet ? 1 : 0;
}

/** Null: the agent is known. @throws CourierError when the share cannot be read */
async function whyUnknown({ courier }: Services, agent: string): Promise<CourierError | null> {
  try {
    await courier.agent(agent);
    return null;
  } catch (error) {
    const failure = asCourierError(error);
    if (failure.code === "not_found") return failure;
    throw error;
  }
}
