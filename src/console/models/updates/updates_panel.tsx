// The models of the fleet that their registries have replaced, with the button that updates them.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes } from "../../../base/format.ts";
import { Panel } from "../../parts/panel.tsx";
import { Foreign, plural } from "../../parts/text.tsx";
import { useFleet, useMay } from "../../shell/use_fleet.ts";
import type { FleetModel } from "../facts/model_facts.ts";
import { mostBytes, type Outdated, outdatedOf } from "./newer.ts";
import { UpdateDialog } from "./update_dialog.tsx";
import type { Updates } from "./use_updates.ts";

interface UpdatesPanelProps {
  readonly models: readonly FleetModel[];
  readonly updates: Updates;
}

const MOST_NAMED = 4;

/** Absent while everything is current. */
export function UpdatesPanel({ models, updates: { compared } }: UpdatesPanelProps): JSX.Element {
  const jobs = useFleet((fleet) => fleet.jobs);
  const [isOpen, setOpen] = useState(false);
  const outdated = outdatedOf(models, compared, jobs);
  return (
    <>
      {outdated.length > 0 && <NewerVersions outdated={outdated} open={() => setOpen(true)} />}
      {/* Others may begin what it shows: it stays until its user closes it. */}
      {isOpen && <UpdateDialog outdated={outdated} onClose={() => setOpen(false)} />}
    </>
  );
}

interface NewerVersionsProps {
  readonly outdated: readonly Outdated[];
  readonly open: () => void;
}

function NewerVersions({ outdated, open }: NewerVersionsProps): JSX.Element {
  const mayPull = useMay("pull_model");
  const boxes = [...new Set(outdated.flatMap(({ agents }) => agents))];
  const bytes = boxes.reduce((sum, agent) => sum + mostBytes(outdated, agent), 0);
  const names = [...new Set(outdated.map(({ model }) => model.name))];
  const more = names.length > MOST_NAMED ? ` and ${plural(names.length - MOST_NAMED, "more model")}` : "";
  return (
    <Panel
      title="Newer versions"
      aside={
        mayPull && (
          <button type="button" class="button" onClick={open}>
            Update…
          </button>
        )
      }
    >
      <p class="small">
        <Foreign class="wrapped strong" text={names.slice(0, MOST_NAMED).join(", ") + more} />
        <span class="quiet">
          {` on ${plural(boxes.length, "box", "boxes")}: at most ${formatBytes(bytes)} to fetch`}
        </span>
      </p>
    </Panel>
  );
}
