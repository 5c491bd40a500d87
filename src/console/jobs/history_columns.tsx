// The columns of the jobs that ended.
import type { JSX } from "preact";
import type { JobDocument } from "../../documents/jobs.ts";
import { Status } from "../parts/status.tsx";
import { actionColumn, type Column } from "../parts/table.tsx";
import { Ago, Foreign, Size } from "../parts/text.tsx";
import { addressOf } from "../shell/router.ts";
import { failureOf, tookOf } from "../store/job_facts.ts";
import { JobActions } from "./job_actions.tsx";
import { stateOf, tookText } from "./job_words.ts";

const BEFORE: readonly Column<JobDocument>[] = [
  {
    id: "model",
    title: "Model",
    width: "minmax(9rem, 1.6fr)",
    isPlain: true,
    sortBy: ({ model }) => model,
    cell: ({ id, model }) =>
      id === null ? (
        <Foreign text={model} />
      ) : (
        <a class="row-link" href={addressOf("jobs", id)}>
          <Foreign text={model} />
        </a>
      ),
  },
  {
    id: "box",
    title: "Box",
    width: "minmax(6rem, 1fr)",
    sortBy: ({ agent }) => agent,
    cell: ({ agent }) => <a href={addressOf("boxes", agent)}>{agent}</a>,
  },
  {
    id: "result",
    title: "Result",
    width: "minmax(10rem, 2.2fr)",
    isPlain: true,
    sortBy: ({ state, error }) => `${state} ${error ?? ""}`,
    cell: (job) => <Result job={job} />,
  },
  {
    id: "size",
    title: "Size",
    width: "5.6rem",
    align: "right",
    sortBy: ({ total_bytes: total }) => total,
    cell: ({ total_bytes: total, completed_bytes: done }) => <Size bytes={total ?? done} />,
  },
  {
    id: "took",
    title: "Took",
    width: "6.4rem",
    align: "right",
    sortBy: tookOf,
    cell: (job) => tookText(job),
  },
];

const AFTER: readonly Column<JobDocument>[] = [
  {
    id: "who",
    title: "Requested by",
    width: "minmax(5rem, 0.8fr)",
    sortBy: ({ requested_by: who }) => who ?? null,
    cell: ({ requested_by: who }) => <Foreign text={who ?? ""} />,
  },
  actionColumn((job) => <JobActions job={job} />),
];

/** @param nowMs by the clock of the server */
export function historyColumns(nowMs: number): readonly Column<JobDocument>[] {
  const when: Column<JobDocument> = {
    id: "ended",
    title: "Ended",
    width: "7.6rem",
    align: "right",
    sortBy: ({ ended_at: ended }) => (ended === null ? null : Date.parse(ended)),
    cell: ({ ended_at: ended }) => (ended === null ? "" : <Ago at={ended} nowMs={nowMs} />),
  };
  return [...BEFORE, when, ...AFTER];
}

function Result({ job }: { readonly job: JobDocument }): JSX.Element {
  const { tone, words } = stateOf(job, false);
  const failure = failureOf(job);
  return (
    <Status tone={tone}>
      {words}
      {failure !== "" && <Foreign class="quiet reason" text={failure} />}
    </Status>
  );
}
