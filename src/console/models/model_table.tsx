// The table of models, with a choice in each row for those who may do something with them.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { countText } from "../parts/local_text.ts";
import { sorted } from "../parts/sorted.ts";
import { Table } from "../parts/table.tsx";
import { useMedia } from "../parts/use_store.ts";
import { useQuery } from "../shell/use_fleet.ts";
import { type FleetModel, keyOf } from "./facts/model_facts.ts";
import { type ActiveModels } from "./facts/purposes.ts";
import { modelColumns } from "./model_columns.tsx";
import type { Compared } from "./updates/newer.ts";

const WIDE = "(min-width: 60rem)";
/** With its buttons and choices a row takes longer to draw than others. */
const WHOLE_UNTIL = 40;
const ROW_HEIGHT = { wide: 44, narrow: 218 } as const;

interface ModelTableProps {
  readonly models: readonly FleetModel[];
  readonly active: ActiveModels | undefined;
  readonly compared: Compared;
  readonly chosen: ReadonlySet<string>;
  /** Undefined: this user may do nothing with them. */
  readonly choose: ((chosen: ReadonlySet<string>) => void) | undefined;
  readonly remove: ((model: FleetModel) => void) | undefined;
}

export function ModelTable({ models, active, compared, chosen, choose, remove }: ModelTableProps): JSX.Element {
  const [sorting, setSorting] = useQuery("sort", "name");
  const isNarrow = !useMedia(WIDE);
  const choosing = choose && {
    chosen,
    choose: (key: string, isChosen: boolean) => {
      const others = [...chosen].filter((each) => each !== key);
      choose(new Set(isChosen ? [...others, key] : others));
    },
    remove,
  };
  const columns = modelColumns({ active, compared }, choosing);
  const items = useMemo(() => sorted(models, columns, sorting), [models, sorting]);
  return (
    <>
      {choose !== undefined && <ChooseAll models={models} chosen={chosen} choose={choose} />}
      <Table
        label="Models"
        columns={columns}
        items={items}
        keyOf={keyOf}
        sorting={sorting}
        onSort={setSorting}
        rowHeight={isNarrow ? ROW_HEIGHT.narrow : ROW_HEIGHT.wide}
        isNarrow={isNarrow}
        wholeUntil={WHOLE_UNTIL}
      />
    </>
  );
}

type ChooseAllProps = Pick<ModelTableProps, "models" | "chosen"> & {
  readonly choose: (chosen: ReadonlySet<string>) => void;
};

function ChooseAll({ models, chosen, choose }: ChooseAllProps): JSX.Element {
  const keys = models.map(keyOf);
  const isAll = keys.every((key) => chosen.has(key));
  return (
    <label class="choose-all">
      <input type="checkbox" checked={isAll} onChange={() => choose(new Set(isAll ? [] : [...chosen, ...keys]))} />
      {`Select all ${countText(models.length)} shown`}
    </label>
  );
}
