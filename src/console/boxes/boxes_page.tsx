// The view of all boxes, or of one.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { AgentDocument } from "../../documents/agents.ts";
import { Choice, Filter } from "../parts/filter.tsx";
import { sorted } from "../parts/sorted.ts";
import { Table } from "../parts/table.tsx";
import { plural } from "../parts/text.tsx";
import { useMedia } from "../parts/use_store.ts";
import { useFleet, useQuery, useServerNow } from "../shell/use_fleet.ts";
import { boxColumns, rowClassOf } from "./box_columns.tsx";
import { searchedText } from "./box_facts.ts";
import { BoxPage } from "./box_page.tsx";
import { hasProblem, isAway } from "./box_status.ts";

/** Wide enough for a row of the table. */
const WIDE = "(min-width: 60rem)";
const ROW_HEIGHT = { wide: 44, narrow: 218 } as const;
/** Ages in words change no faster. */
const AGES_MS = 5_000;

export function BoxesPage({ rest: [name] }: { readonly rest: readonly string[] }): JSX.Element {
  return name === undefined ? <BoxList /> : <BoxPage key={name} name={name} />;
}

const KINDS: Readonly<Record<string, (box: AgentDocument) => boolean>> = {
  all: () => true,
  online: (box) => !hasProblem(box),
  trouble: (box) => hasProblem(box) && !isAway(box),
  away: isAway,
};

const KIND_TITLES = [
  ["all", "All"],
  ["online", "Online"],
  ["trouble", "Problems"],
  ["away", "Away"],
] as const;

function BoxList(): JSX.Element {
  const boxes = useFleet((fleet) => fleet.agents);
  const nowMs = useServerNow(AGES_MS);
  const [text, setText] = useQuery("q");
  const [kind, setKind] = useQuery("show", "all");
  const wanted = useMemo(() => {
    const searched = text.trim().toLowerCase();
    return searched === "" ? boxes : boxes.filter((box) => searchedText(box).includes(searched));
  }, [boxes, text]);
  const shown = useMemo(() => wanted.filter(KINDS[kind] ?? isAway), [wanted, kind]);
  const options = KIND_TITLES.map(([value, title]) => {
    return { value, title, count: wanted.filter(KINDS[value] ?? isAway).length };
  });
  return (
    <>
      <div class="page-head">
        <h1>Boxes</h1>
        <Filter label="Filter by name, label, GPU or version" value={text} onChange={setText} />
        <Choice label="Which boxes" value={kind} onChange={setKind} options={options} />
      </div>
      <p class="only-read" role="status">
        {plural(shown.length, "box", "boxes")} shown
      </p>
      {shown.length > 0 ? <BoxTable boxes={shown} nowMs={nowMs} /> : <Empty isFiltered={boxes.length > 0} />}
    </>
  );
}

interface BoxTableProps {
  readonly boxes: readonly AgentDocument[];
  readonly nowMs: number;
}

function BoxTable({ boxes, nowMs }: BoxTableProps): JSX.Element {
  const [sorting, setSorting] = useQuery("sort", "name");
  const isNarrow = !useMedia(WIDE);
  const columns = useMemo(() => boxColumns(nowMs), [nowMs]);
  const items = useMemo(() => sorted(boxes, columns, sorting), [boxes, columns, sorting]);
  return (
    <Table
      label="Boxes"
      columns={columns}
      items={items}
      keyOf={({ agent }) => agent}
      sorting={sorting}
      onSort={setSorting}
      rowHeight={isNarrow ? ROW_HEIGHT.narrow : ROW_HEIGHT.wide}
      isNarrow={isNarrow}
      rowClass={rowClassOf}
    />
  );
}

function Empty({ isFiltered }: { readonly isFiltered: boolean }): JSX.Element {
  const contact = useFleet((fleet) => fleet.contact);
  if (contact === "connecting" || (contact === "lost" && !isFiltered)) return <p class="empty">Loading boxes…</p>;
  if (isFiltered) return <p class="empty">No box matches the filter.</p>;
  return (
    <p class="empty">
      No box has reported yet. <span class="quiet">A box appears here when its gpu-agent starts.</span>
    </p>
  );
}
