// The jobs of one box: the active ones, and the last that ended.
import type { JSX } from "preact";
import { JobLine } from "../jobs/job_line.tsx";
import { Panel } from "../parts/panel.tsx";
import { addressOf } from "../shell/router.ts";
import { useFleet } from "../shell/use_fleet.ts";
import { activeOf } from "../store/active_jobs.ts";
import { isActive } from "../store/job_facts.ts";

const ENDED = 4;

export function BoxJobs({ box }: { readonly box: string }): JSX.Element {
  const jobs = useFleet((fleet) => fleet.jobs);
  const own = jobs.filter(({ agent }) => agent === box);
  const ended = own.filter((job) => !isActive(job));
  const shown = [...activeOf(own), ...ended.slice(0, ENDED)];
  return (
    <Panel
      title="Jobs"
      aside={
        ended.length > ENDED && <a href={`${addressOf("jobs")}?q=${encodeURIComponent(box)}`}>All jobs of this box</a>
      }
    >
      {shown.length === 0 && <p class="quiet none">No pull so far.</p>}
      <ul class="jobs">
        {shown.map((job) => (
          <JobLine key={job.id ?? job.model} job={job} hasBox={false} />
        ))}
      </ul>
    </Panel>
  );
}
