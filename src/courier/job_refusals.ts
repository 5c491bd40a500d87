// What the courier says of a job that it cannot find or cancel. Pure; imports errors and protocol.
import { CourierError } from "../base/errors.ts";
import { type Job, LIMITS } from "../protocol.ts";

/** @param silent the agents that could not be asked */
export function unknownJob(id: string, silent: readonly string[]): CourierError {
  const reserve = silent.length === 0 ? "" : `; could not ask ${silent.join(", ")}`;
  return new CourierError("not_found", `No agent knows a job ${id}${reserve}`, {
    hint: `Each agent knows those under way and its last ${LIMITS.endedJobsKept}`,
  });
}

/** What has ended cannot be cancelled, and what a legacy service does neither. */
export function tooLate({ id, model, state, agent }: Job): CourierError {
  const why = id === null ? `the legacy service of ${agent} cannot be told to` : `it has ${state}`;
  return new CourierError(id === null ? "unimplemented" : "conflict", `Cannot cancel the pull of ${model}: ${why}`);
}
