// The disk with the models of one box: what takes its space, and what downloads and deletes left over.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { AgentDocument } from "../../../documents/agents.ts";
import type { DiskDocument } from "../../../documents/models/disk.ts";
import { Action } from "../../parts/button.tsx";
import { Failure, Panel } from "../../parts/panel.tsx";
import { useDocument } from "../../shell/use_document.ts";
import { useFleet, useMay } from "../../shell/use_fleet.ts";
import { CleanUp } from "./clean_up.tsx";
import { DiskBar } from "./disk_bar.tsx";
import type { Usage } from "./disk_facts.ts";
import { DiskModels } from "./disk_models.tsx";
import { Leftovers } from "./leftovers.tsx";

interface DiskPanelProps {
  readonly box: AgentDocument;
  readonly isAway: boolean;
}

/** The box is asked when its page opens, and when it has more or fewer models: measuring reads its whole folder. */
export function DiskPanel({ box: { agent, model_count: count }, isAway }: DiskPanelProps): JSX.Element {
  const mayPrune = useMay("prune") && !isAway;
  const version = `${useFleet((fleet) => fleet.readings)} ${count}`;
  const [isOpen, setOpen] = useState(false);
  const { document, failure, again } = useDocument<DiskDocument>(
    `v1/agents/${agent}/disk`,
    isAway ? undefined : version,
  );
  const usage = document?.agents[0]?.usage;
  return (
    <Panel title="Disk usage" aside={!isAway && <Action run={again}>Measure again</Action>}>
      {isAway && usage === undefined && (
        <p class="quiet none">The box is away. Its disk is measured when it is back.</p>
      )}
      {!isAway && failure !== undefined && <Failure failure={failure} />}
      {!isAway && usage === undefined && failure === undefined && <p class="quiet none">Measuring…</p>}
      {usage !== undefined && (
        <Measured usage={usage} cleanUp={mayPrune && hasLeftovers(usage) ? () => setOpen(true) : undefined} />
      )}
      {isOpen && <CleanUp agent={agent} again={again} onClose={() => setOpen(false)} />}
    </Panel>
  );
}

interface MeasuredProps {
  readonly usage: Usage;
  /** Undefined: this user may not, or nothing is left over. */
  readonly cleanUp: (() => void) | undefined;
}

function Measured({ usage, cleanUp }: MeasuredProps): JSX.Element {
  return (
    <div class="disk">
      <DiskBar usage={usage} />
      <DiskModels usage={usage} />
      <Leftovers usage={usage} />
      {cleanUp !== undefined && (
        <div>
          <button type="button" class="button" onClick={cleanUp}>
            Clean up…
          </button>
        </div>
      )}
    </div>
  );
}

function hasLeftovers({ partials_bytes: partials, orphans_bytes: orphans }: Usage): boolean {
  return partials + orphans > 0;
}
