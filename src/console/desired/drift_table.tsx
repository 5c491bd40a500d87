// The table of differences between the fleet and its file, with what is done about each.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { DriftDocument } from "../../documents/models/desired.ts";
import { percentText, stateOf } from "../jobs/job_words.ts";
import { sorted } from "../parts/sorted.ts";
import { Status } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Ago, Foreign } from "../parts/text.tsx";
import { useMedia } from "../parts/use_store.ts";
import { addressOf } from "../shell/router.ts";
import { useFleet, useServerNow } from "../shell/use_fleet.ts";

const WIDE = "(min-width: 60rem)";
const ROW_HEIGHT = { wide: 44, narrow: 168 } as const;
const ACTIONS = { pull: "Pull", update: "Update", delete: "Delete" } as const;

const PLACES: readonly Column<DriftDocument>[] = [
  {
    id: "name",
    title: "Model",
    width: "minmax(10rem, 1.4fr)",
    isPlain: true,
    sortBy: ({ model }) => model,
    cell: ({ model }) => <Foreign class="strong" text={model} />,
  },
  {
    id: "box",
    title: "Box",
    width: "minmax(7rem, 0.8fr)",
    sortBy: ({ agent }) => agent,
    cell: ({ agent }) => <a href={addressOf("boxes", agent)}>{agent}</a>,
  },
  {
    id: "action",
    title: "To do",
    width: "5rem",
    sortBy: ({ action }) => action,
    cell: ({ action }) => ACTIONS[action],
  },
  {
    id: "now",
    title: "Now",
    width: "minmax(10rem, 2fr)",
    cell: (drift) => <Progress drift={drift} />,
  },
];

export function DriftTable({ drift }: { readonly drift: readonly DriftDocument[] }): JSX.Element {
  const [sorting, setSorting] = useState("box");
  const isNarrow = !useMedia(WIDE);
  const nowMs = useServerNow(30_000);
  const columns: readonly Column<DriftDocument>[] = [
    ...PLACES,
    {
      id: "since",
      title: "Since",
      width: "8.5rem",
      sortBy: ({ since }) => Date.parse(since),
      cell: ({ since }) => <Ago at={since} nowMs={nowMs} />,
    },
  ];
  const items = useMemo(() => sorted(drift, columns, sorting), [drift, sorting]);
  return (
    <Table
      label="Differences from the file"
      columns={columns}
      items={items}
      keyOf={({ agent, model }) => `${agent} ${model}`}
      sorting={sorting}
      onSort={setSorting}
      rowHeight={isNarrow ? ROW_HEIGHT.narrow : ROW_HEIGHT.wide}
      isNarrow={isNarrow}
    />
  );
}

/** The pull that is under way, or why nothing is done yet. */
function Progress({ drift: { job: id, reason } }: { readonly drift: DriftDocument }): JSX.Element {
  const job = useFleet((fleet) => (id === null ? undefined : fleet.job(id)));
  const isAway = useFleet((fleet) => job !== undefined && fleet.agent(job.agent)?.status === "offline");
  if (id === null) return <Foreign class="quiet" text={reason ?? "waiting for its turn"} />;
  const state = job === undefined ? undefined : stateOf(job, isAway);
  return (
    <Status tone={state?.tone ?? "busy"}>
      <a href={addressOf("jobs", id)}>{state?.words ?? "Pulling"}</a>
      {job !== undefined && <span class="quiet">{` ${percentText(job)}`}</span>}
      {reason !== null && <Foreign class="quiet reason" text={reason} />}
    </Status>
  );
}
