// One job as an entry of a list: its bar with speed and time left, or how it ended.
import type { JSX } from "preact";
import type { JobDocument } from "../../documents/jobs.ts";
import { Progress } from "../parts/bar.tsx";
import { memo } from "../parts/memo.ts";
import { Status } from "../parts/status.tsx";
import { Ago, Foreign } from "../parts/text.tsx";
import { addressOf } from "../shell/router.ts";
import { useFleet, useServerNow } from "../shell/use_fleet.ts";
import { failureOf, fractionOf, isActive } from "../store/job_facts.ts";
import { ByteChart } from "./byte_chart.tsx";
import { JobActions } from "./job_actions.tsx";
import { percentText, progressParts, stateOf, troubleOf } from "./job_words.ts";

interface JobLineProps {
  readonly job: JobDocument;
  /** Whether it names its box. */
  readonly hasBox: boolean;
}

export const JobLine = memo(({ job, hasBox }: JobLineProps): JSX.Element => {
  const box = useFleet((fleet) => fleet.agent(job.agent));
  const samples = useFleet((fleet) => fleet.pace.of(job.id ?? ""));
  const isAway = box?.status === "offline";
  const { tone, words } = stateOf(job, isAway);
  return (
    <li class="job">
      <div class="job-head">
        <JobName job={job} hasBox={hasBox} />
        <Status tone={tone}>{words}</Status>
        {isActive(job) && <span class="percent">{percentText(job)}</span>}
        <JobActions job={job} />
      </div>
      {isActive(job) && (
        <div class="job-bar">
          <Progress
            value={fractionOf(job)}
            isMoving={!isAway && job.state !== "queued"}
            label={`${job.model} on ${job.agent}`}
          />
          <ByteChart samples={samples} totalBytes={null} width={96} height={20} />
        </div>
      )}
      <JobDetail job={job} isAway={isAway} />
    </li>
  );
});

function JobName({ job: { id, model, agent }, hasBox }: JobLineProps): JSX.Element {
  return (
    <span class="job-name">
      {id === null ? (
        <Foreign class="strong" text={model} />
      ) : (
        <a class="strong" href={addressOf("jobs", id)}>
          <Foreign text={model} />
        </a>
      )}
      {hasBox && (
        <span class="quiet">
          {" on "}
          <a href={addressOf("boxes", agent)}>{agent}</a>
        </span>
      )}
    </span>
  );
}

function JobDetail({ job, isAway }: { readonly job: JobDocument; readonly isAway: boolean }): JSX.Element {
  const { requested_by: who = null, ended_at: ended, retry_at: retryAt = null } = job;
  // The line of a job that moves does not mention the time.
  const nowMs = useServerNow(isActive(job) && retryAt === null ? 30_000 : 1_000);
  const trouble = isActive(job) && !isAway ? troubleOf(job, nowMs) : failureOf(job);
  return (
    <div class="job-detail quiet">
      {isActive(job) && (
        <Parts parts={isAway ? ["The box is not reporting. Last known progress"] : progressParts(job)} />
      )}
      {trouble !== "" && <Foreign class="wrapped" text={trouble} />}
      <span class="who">
        {ended !== null && <Ago at={ended} nowMs={nowMs} />}
        {who !== null && <Foreign text={`${ended === null ? "" : ", "}by ${who}`} />}
      </span>
    </div>
  );
}

/** Lines break between the parts, not in one of them. */
function Parts({ parts }: { readonly parts: readonly string[] }): JSX.Element {
  return (
    <span class="parts">
      {parts.map((part, index) => (
        <span key={index}>{index === parts.length - 1 ? part : `${part} `}</span>
      ))}
    </span>
  );
}
