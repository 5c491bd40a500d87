// Cancels an active job, and asks again for one that did not succeed.
import type { JSX } from "preact";
import { CourierError } from "../../base/errors.ts";
import type { JobDocument, JobsDocument } from "../../documents/jobs.ts";
import { Action } from "../parts/button.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { useMay } from "../shell/use_fleet.ts";
import { isActive } from "../store/job_facts.ts";

export function JobActions({ job }: { readonly job: JobDocument }): JSX.Element | null {
  const { api, fleet } = useConsole();
  const act = useActing();
  const [mayCancel, mayPull] = [useMay("cancel_job"), useMay("pull_model")];
  const { id, agent, model, state } = job;
  if (isActive(job)) {
    if (!mayCancel || id === null) return null;
    const cancel = async (): Promise<void> => {
      const cancelled = await api.post<JobDocument>(`v1/jobs/${encodeURIComponent(id)}/cancel`);
      fleet.putJobs([cancelled], Date.now());
    };
    return (
      <Action run={async () => await act(cancel)} label={`Cancel the pull of ${model} on ${agent}`}>
        Cancel
      </Action>
    );
  }
  if (!mayPull || state === "succeeded") return null;
  const retry = async (): Promise<void> => {
    const { jobs, refusals = [] } = await api.post<JobsDocument>("v1/jobs", { kind: "pull", model, agents: [agent] });
    fleet.putJobs(jobs, Date.now());
    const [refusal] = refusals;
    if (refusal !== undefined)
      throw new CourierError(refusal.code, refusal.detail, { hint: refusal.hint, saidBy: refusal.said_by });
  };
  return (
    <Action
      run={async () => await act(retry, `Retrying ${model} on ${agent}`)}
      label={`Retry the pull of ${model} on ${agent}`}
    >
      Retry
    </Action>
  );
}
