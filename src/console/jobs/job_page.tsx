// One job: how far it is, its bytes over time, and everything that is known of it.
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import type { JobDocument } from "../../documents/jobs.ts";
import { localTime } from "../parts/local_text.ts";
import { Facts, Failure, Panel } from "../parts/panel.tsx";
import { Foreign } from "../parts/text.tsx";
import { useConsole } from "../shell/console.ts";
import { addressOf } from "../shell/router.ts";
import { useDocument } from "../shell/use_document.ts";
import { useFleet } from "../shell/use_fleet.ts";
import { ByteChart } from "./byte_chart.tsx";
import { JobLine } from "./job_line.tsx";
import { tookText } from "./job_words.ts";

export function JobPage({ id }: { readonly id: string }): JSX.Element {
  const { fleet } = useConsole();
  const known = useFleet((all) => all.job(id));
  // An old job is in no list: its box still knows it.
  const { document, failure } = useDocument<JobDocument>(
    `v1/jobs/${encodeURIComponent(id)}`,
    known === undefined ? 1 : undefined,
  );
  useEffect(() => {
    if (document !== undefined) fleet.putJobs([document], Date.now());
  }, [document, fleet]);
  return (
    <>
      <div class="page-head box-head">
        <a class="up" href={addressOf("jobs")}>
          Jobs
        </a>
        <h1>{known === undefined ? "Job" : <Foreign text={`Pull of ${known.model}`} />}</h1>
      </div>
      {known !== undefined ? (
        <KnownJob job={known} />
      ) : failure !== undefined ? (
        <Failure failure={failure} />
      ) : (
        <p class="empty">Loading the job…</p>
      )}
    </>
  );
}

function KnownJob({ job }: { readonly job: JobDocument }): JSX.Element {
  const samples = useFleet(({ pace }) => pace.of(job.id ?? ""));
  return (
    <>
      <Panel title="Progress">
        <ul class="jobs">
          <JobLine job={job} hasBox />
        </ul>
        {samples.length > 2 && (
          <div class="wide-chart">
            <ByteChart samples={samples} totalBytes={job.total_bytes} width={600} height={120} />
          </div>
        )}
      </Panel>
      <Panel title="Details">
        <Facts facts={factsOf(job)} />
      </Panel>
    </>
  );
}

function factsOf(job: JobDocument): readonly (readonly [string, ComponentChildren])[] {
  const { agent, requested_by: who = null, total_bytes: total, error, code, id } = job;
  const time = (at: string | null | undefined): string => (at == null ? "" : localTime(at));
  return [
    ["Box", <a href={addressOf("boxes", agent)}>{agent}</a>],
    ["Requested by", who === null ? "" : <Foreign text={who} />],
    ["Requested at", time(job.created_at)],
    ["Started at", time(job.started_at)],
    ["Ended at", time(job.ended_at)],
    ["Took", tookText(job)],
    ["Size", total === null ? "" : formatBytes(total)],
    ["Left on disk", job.partial_bytes ? formatBytes(job.partial_bytes) : ""],
    ["Retries", job.retries ? String(job.retries) : ""],
    ["Error", error === null ? "" : <Foreign class="wrapped" text={error} />],
    ["Error code", code === null ? "" : <code>{code}</code>],
    ["Id", <code>{id}</code>],
  ];
}
