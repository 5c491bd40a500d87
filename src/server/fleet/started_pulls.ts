// What a request for pulls returns, and what is kept of those that were refused.
import { CourierError } from "../../base/errors.ts";
import { firstOf } from "../../courier/named.ts";
import type { Courier } from "../../courier.ts";
import { type JobsDocument, jobsDocument } from "../../documents/jobs.ts";
import { detailsOf } from "../http/problem.ts";
import { keepRefused, type RefusalsKept, type StartedPull } from "./start_pull.ts";

/**
 * The job of a mistyped name can be looked up by its id, and its end is delivered. A thousand invented names would push out
 * what others wait for.
 */
const UNKNOWN_KEPT = 10;

/** @throws CourierError `not_found` when every agent is unknown */
export function keepRefusals(
  services: RefusalsKept & { readonly courier: Pick<Courier, "lastKnownAgents"> },
  started: readonly StartedPull[],
): void {
  const known = new Set(services.courier.lastKnownAgents().map(({ agent }) => agent));
  const isUnknown = ({ job: { agent }, refusal }: StartedPull) => refusal?.code === "not_found" && !known.has(agent);
  if (started.every(isUnknown)) throw allUnknown(started);
  // If the caller disconnected, a pull may have started or not: only the agents know.
  const refused = started.filter(({ refusal }) => refusal !== undefined && refusal.code !== "cancelled");
  keepRefused(
    services,
    refused.filter((one) => !isUnknown(one)),
  );
  keepUnknown(services, refused.filter(isUnknown));
}

export function keepUnknown(services: RefusalsKept, unknown: readonly StartedPull[]): void {
  keepRefused(services, unknown.slice(0, UNKNOWN_KEPT));
}

export function startedDocument(started: readonly StartedPull[]): JobsDocument {
  const refusals = started.flatMap(({ job, refusal }) =>
    refusal === undefined ? [] : [{ agent: job.agent, ...detailsOf(refusal) }],
  );
  const document = jobsDocument({ jobs: started.map(({ job }) => job) });
  return refusals.length === 0 ? document : { ...document, refusals };
}

export function allUnknown(started: readonly StartedPull[]): CourierError {
  const [first, ...others] = started;
  if (first?.refusal !== undefined && others.length === 0) return first.refusal;
  const names = firstOf(started, ({ job }) => JSON.stringify(job.agent));
  return new CourierError("not_found", `Unknown agents ${names}`, { hint: first?.refusal?.hint });
}
