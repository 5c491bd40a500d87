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

/** One model, and the boxes that pull it. */
export interface WantedPull {
  readonly model: string;
  readonly agents: readonly string[];
}

interface PullWays {
  /** The first word of the message. */
  readonly doing?: "Pulling" | "Updating";
  /** `mirror`: the server fetches it first. */
  readonly via?: "mirror";
}

/**
 * @throws CourierError when no box started any; otherwise refusals are messages
 */
export async function startPulls(
  { api, fleet, toasts }: PullDeps,
  pulls: readonly WantedPull[],
  { doing = "Pulling", via }: PullWays = {},
): Promise<void> {
  const outcomes = await workThrough(pulls, async ({ model, agents }) => {
    return await api.post<JobsDocument>("v1/jobs", {
      kind: "pull",
      model,
      agents,
      ...(via === undefined ? {} : { via }),
    });
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
  const isFetched = documents.some(({ fetch }) => fetch !== undefined);
  if (started === 0 && !isFetched && first !== undefined) throw first;
  toasts.done(isFetched ? `Fetching into the mirror, then pulling ${wordsOf(pulls)}` : `${doing} ${wordsOf(pulls)}`);
  for (const failure of failures) toasts.failed(failure);
}

/** `phi4:latest on 2 boxes` */
function wordsOf(pulls: readonly WantedPull[]): string {
  const agents = [...new Set(pulls.flatMap((pull) => pull.agents))];
  const what = pulls.length === 1 ? (pulls[0]?.model ?? "") : plural(pulls.length, "model");
  return `${what} on ${agents.length === 1 ? agents.join("") : plural(agents.length, "box", "boxes")}`;
}
