// The pulls that run now, above the list of models: live, as in the view of all jobs.
import type { JSX } from "preact";
import { JobLine } from "../../jobs/job_line.tsx";
import { Panel } from "../../parts/panel.tsx";
import { plural } from "../../parts/text.tsx";
import { addressOf } from "../../shell/router.ts";
import { useFleet } from "../../shell/use_fleet.ts";
import { activeOf } from "../../store/active_jobs.ts";

const MOST = 2;

/** @param model only those of this one */
export function PullsNow({ model }: { readonly model?: string }): JSX.Element | null {
  const jobs = useFleet((fleet) => fleet.jobs);
  const active = activeOf(jobs).filter((job) => model === undefined || job.model === model);
  if (active.length === 0) return null;
  const more = active.length - MOST;
  return (
    <Panel
      title="Pulling now"
      aside={<a href={addressOf("jobs")}>{more > 0 ? `${plural(more, "more pull")} in Jobs` : "All jobs"}</a>}
    >
      <ul class="jobs">
        {active.slice(0, MOST).map((job) => (
          <JobLine key={job.id ?? `${job.agent} ${job.model}`} job={job} hasBox />
        ))}
      </ul>
    </Panel>
  );
}
