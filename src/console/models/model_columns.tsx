// The columns of the list of models.
import type { JSX } from "preact";
import { actionColumn, type Column } from "../parts/table.tsx";
import { Foreign, plural, Size } from "../parts/text.tsx";
import { addressOf } from "../shell/router.ts";
import { type FleetModel, keyOf, whereText } from "./facts/model_facts.ts";
import { type ActiveModels, purposesOf } from "./facts/purposes.ts";
import { type Compared, isOutdated } from "./updates/newer.ts";

/** Ordering the names of many boxes in each row would be felt. */
const MOST_NAMED = 12;

const FACTS: readonly Column<FleetModel>[] = [
  {
    id: "family",
    title: "Family",
    width: "minmax(5rem, 0.7fr)",
    sortBy: ({ details }) => details?.family ?? null,
    cell: ({ details }) => <Detail text={details?.family} />,
  },
  {
    id: "parameters",
    title: "Parameters",
    width: "6.5rem",
    align: "right",
    sortBy: ({ details }) => details?.parameter_size ?? null,
    cell: ({ details }) => <Detail text={details?.parameter_size} />,
  },
  {
    id: "quantization",
    title: "Quantization",
    width: "7rem",
    sortBy: ({ details }) => details?.quantization_level ?? null,
    cell: ({ details }) => <Detail text={details?.quantization_level} />,
  },
  {
    id: "size",
    title: "Size",
    width: "5.6rem",
    align: "right",
    sortBy: ({ size }) => size,
    cell: ({ size }) => <Size bytes={size} />,
  },
  {
    id: "where",
    title: "Where",
    width: "minmax(9rem, 1.5fr)",
    isPlain: true,
    sortBy: ({ agents }) => agents.length,
    cell: (model) => <Where model={model} />,
  },
];

interface Choosing {
  readonly chosen: ReadonlySet<string>;
  readonly choose: (key: string, isChosen: boolean) => void;
  /** Undefined: this user may not. */
  readonly remove: ((model: FleetModel) => void) | undefined;
}

interface Marks {
  readonly active: ActiveModels | undefined;
  readonly compared: Compared;
}

/** @param choosing undefined: this user may do nothing with models */
export function modelColumns(
  { active, compared }: Marks,
  choosing: Choosing | undefined,
): readonly Column<FleetModel>[] {
  const name: Column<FleetModel> = {
    id: "name",
    title: "Model",
    width: "minmax(10rem, 1.8fr)",
    isPlain: true,
    sortBy: (model) => model.name,
    cell: (model) => (
      <Name model={model} purposes={purposesOf(model.name, active)} isOutdated={isOutdated(model, compared)} />
    ),
  };
  if (choosing === undefined) return [name, ...FACTS];
  return [choice(choosing), name, ...FACTS, ...(choosing.remove === undefined ? [] : [removal(choosing.remove)])];
}

function choice({ chosen, choose }: Choosing): Column<FleetModel> {
  return {
    id: "selected",
    title: "Select",
    hasHiddenTitle: true,
    width: "1.25rem",
    isPlain: true,
    cell: (model) => (
      <input
        type="checkbox"
        aria-label={`Select ${model.name}`}
        checked={chosen.has(keyOf(model))}
        onChange={(event) => choose(keyOf(model), event.currentTarget.checked)}
      />
    ),
  };
}

function removal(remove: (model: FleetModel) => void): Column<FleetModel> {
  return actionColumn((model) => (
    <button type="button" class="button danger" aria-label={`Delete ${model.name}`} onClick={() => remove(model)}>
      Delete
    </button>
  ));
}

interface NameProps {
  readonly model: FleetModel;
  readonly purposes: readonly string[];
  readonly isOutdated: boolean;
}

function Name({ model: { name, digest }, purposes, isOutdated: isOld }: NameProps): JSX.Element {
  return (
    <span class="model-name">
      <a class="row-link" href={addressOf("models", name, digest)}>
        <Foreign text={name} />
      </a>
      {purposes.map((purpose) => (
        <span key={purpose} class="label active" title={`The platform's model for ${purpose}`}>
          {purpose}
        </span>
      ))}
      {isOld && (
        <span class="label outdated" title="Its registry has a newer version">
          outdated
        </span>
      )}
    </span>
  );
}

/** The names where there is room for them; all of them are on the model's page. */
function Where({ model: { agents } }: { readonly model: FleetModel }): JSX.Element {
  if (agents.length === 1) return <Foreign text={agents[0] ?? ""} />;
  return (
    <span title={agents.length > 20 ? "" : agents.join(", ")}>
      <span class="strong">{plural(agents.length, "box", "boxes")}</span>
      {agents.length <= MOST_NAMED && <span class="quiet">{` ${whereText(agents)}`}</span>}
    </span>
  );
}

function Detail({ text }: { readonly text: string | undefined }): JSX.Element {
  if (text !== undefined && text !== "") return <Foreign text={text} />;
  return (
    <span class="quiet">
      <span aria-hidden="true">–</span>
      <span class="only-read">unknown</span>
    </span>
  );
}
