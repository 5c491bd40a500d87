// Starts pulls on boxes: the jobs are in the page at once, and each refusal is a message.
import { CourierError } from "../../../base/errors.ts";
import type { JobsDocument } from "../../../documents/jobs.ts";
import type { Api } from "../../api/api.ts";
import { plural } from "../../parts/text.tsx";
import { workThrough } from "../../parts/work.ts";
import type { Toasts } from "../../shell/toasts.ts";
import type { FleetStore } from "../../store/fleet_store.ts";

export interface PullDeps {
  readonly api: Pick<Api, "post">;
  readonly fleet: Pick<FleetStore, "putJobs">;
  readonly toasts: Pick<Toasts, "done" | "failed">;
}

/** @throws CourierError when no box started any; otherwise refusals are messages */
export async function startPulls(
  { api, fleet, toasts }: PullDeps,
  names: readonly string[],
  agents: readonly string[],
): Promise<void> {
  const outcomes = await workThrough(names, async (model) => {
    return await api.post<JobsDocument>("v1/jobs", { kind: "pull", model, agents });
  });
  const documents = outcomes.flatMap(({ value }) => (value === undefined ? [] : [value]));
  for (const { jobs } of documents) fleet.putJobs(jobs, Date.now());
  const refusals = documents.flatMap(({ refusals: refused = [] }) => refused);
  const failures = [
    ...outcomes.flatMap(({ failure }) => (failure === undefined ? [] : [failure])),
    ...refusals.map(
      ({ code, agent, detail, hint, said_by: saidBy }) =>
        new CourierError(code, detail.includes(agent) ? detail : `${agent}: ${detail}`, { hint, saidBy }),
    ),
  ];
  const started = documents.reduce((sum, { jobs }) => sum + jobs.length, 0) - refusals.length;
  const [first] = failures;
  if (started === 0 && first !== undefined) throw first;
  const what = names.length === 1 ? names.join("") : plural(names.length, "model");
  toasts.done(`Pulling ${what} on ${agents.length === 1 ? agents.join("") : plural(agents.length, "box", "boxes")}`);
  for (const failure of failures) toasts.failed(failure);
}
