// The view of all jobs: the active ones with their bars, and the history; or of one job.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import type { JobDocument } from "../../documents/jobs.ts";
import { Choice, Filter } from "../parts/filter.tsx";
import { memo } from "../parts/memo.ts";
import { Panel } from "../parts/panel.tsx";
import { sorted } from "../parts/sorted.ts";
import { Table } from "../parts/table.tsx";
import { plural } from "../parts/text.tsx";
import { useGrowing, useMedia, useSameItems } from "../parts/use_store.ts";
import { useFleet, useQuery, useServerNow } from "../shell/use_fleet.ts";
import { activeOf } from "../store/active_jobs.ts";
import { isActive } from "../store/job_facts.ts";
import { historyColumns } from "./history_columns.tsx";
import { JobLine } from "./job_line.tsx";
import { JobPage } from "./job_page.tsx";
import { MoreHistory } from "./more_history.tsx";

const WIDE = "(min-width: 60rem)";
const ROW_HEIGHT = { wide: 40, narrow: 188 } as const;
/** With more, their entries would be more than a browser keeps current. */
const MOST_LINES = 40;
const LINES_AT_ONCE = 5;

export function JobsPage({ rest: [id] }: { readonly rest: readonly string[] }): JSX.Element {
  return id === undefined ? <AllJobs /> : <JobPage key={id} id={id} />;
}

function AllJobs(): JSX.Element {
  const jobs = useFleet((fleet) => fleet.jobs);
  const [text, setText] = useQuery("q");
  const wanted = useMemo(() => jobs.filter((job) => fits(job, text)), [jobs, text]);
  const active = useMemo(() => activeOf(wanted), [wanted]);
  const ended = useSameItems(useMemo(() => wanted.filter((job) => !isActive(job)), [wanted]));
  return (
    <>
      <div class="page-head">
        <h1>Jobs</h1>
        <Filter label="Filter by model, box or requester" value={text} onChange={setText} />
      </div>
      <ActiveJobs jobs={active} />
      <History ended={ended} />
    </>
  );
}

function ActiveJobs({ jobs }: { readonly jobs: readonly JobDocument[] }): JSX.Element {
  const speed = jobs.reduce((sum, { bytes_per_second: each }) => sum + (each ?? 0), 0);
  const shown = useGrowing(Math.min(jobs.length, MOST_LINES), LINES_AT_ONCE);
  const summary = `${plural(jobs.length, "pull")}${speed > 0 ? `, ${formatBytes(speed)}/s` : ""}`;
  return (
    <Panel title="Active" aside={<span class="quiet">{jobs.length > 0 && summary}</span>}>
      {jobs.length === 0 && <p class="quiet none">No pull is running.</p>}
      <ul class="jobs">
        {jobs.slice(0, shown).map((job) => (
          <JobLine key={job.id ?? `${job.agent} ${job.model}`} job={job} hasBox />
        ))}
      </ul>
      {jobs.length > MOST_LINES && (
        <p class="quiet none">{`${plural(jobs.length - MOST_LINES, "more pull")}: filter to see them.`}</p>
      )}
    </Panel>
  );
}

const RESULTS = ["all", "succeeded", "failed", "cancelled"] as const;
const TITLES = { all: "All", succeeded: "Succeeded", failed: "Failed", cancelled: "Canceled" } as const;

const History = memo(({ ended }: { readonly ended: readonly JobDocument[] }): JSX.Element => {
  const nowMs = useServerNow(5_000);
  const contact = useFleet((fleet) => fleet.contact);
  const [result, setResult] = useQuery("result", "all");
  const [sorting, setSorting] = useQuery("sort", "-ended");
  const isNarrow = !useMedia(WIDE);
  const columns = historyColumns(nowMs);
  const of = (name: string): readonly JobDocument[] => ended.filter(({ state }) => name === "all" || state === name);
  const shown = useMemo(() => sorted(of(result), columns, sorting), [ended, result, sorting]);
  const options = RESULTS.map((value) => ({ value, title: TITLES[value], count: of(value).length }));
  return (
    <Panel
      title="History"
      class="flush"
      aside={ended.length > 0 && <Choice label="Which results" value={result} onChange={setResult} options={options} />}
    >
      {shown.length === 0 ? (
        <p class="quiet none">
          {contact === "connecting" ? "Loading jobs…" : ended.length > 0 ? "No such job." : "No job has ended."}
        </p>
      ) : (
        <Table
          label="Jobs that ended"
          columns={columns}
          items={shown}
          keyOf={({ id, agent, model }) => id ?? `${agent} ${model}`}
          sorting={sorting}
          onSort={setSorting}
          rowHeight={isNarrow ? ROW_HEIGHT.narrow : ROW_HEIGHT.wide}
          isNarrow={isNarrow}
        />
      )}
      <MoreHistory />
    </Panel>
  );
});

function fits({ model, agent, requested_by: who }: JobDocument, text: string): boolean {
  return `${model} ${agent} ${who ?? ""}`.toLowerCase().includes(text.trim().toLowerCase());
}
