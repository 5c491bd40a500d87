// The dialog that updates models: it shows first which ones, where, and how much that fetches at most.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes } from "../../../base/format.ts";
import { BoxPicker } from "../../parts/box_picker.tsx";
import { Dialog, DialogEnd } from "../../parts/dialog.tsx";
import { plural } from "../../parts/text.tsx";
import { useAttempt } from "../../parts/work.ts";
import { useConsole } from "../../shell/console.ts";
import { useFleet } from "../../shell/use_fleet.ts";
import { keyOf } from "../facts/model_facts.ts";
import { refusalOf, roomOn } from "../facts/room.ts";
import { startPulls, type WantedPull } from "../pulls/start_pulls.ts";
import { ModelPicker } from "./model_picker.tsx";
import { mostBytes, type Outdated } from "./newer.ts";

interface UpdateDialogProps {
  readonly outdated: readonly Outdated[];
  readonly onClose: () => void;
}

export function UpdateDialog({ outdated: offered, onClose }: UpdateDialogProps): JSX.Element {
  // As it was when the dialog opened: what is pulled since then leaves the page's list.
  const [outdated] = useState(offered);
  const { api, fleet, toasts } = useConsole();
  const { isRunning, failure, start } = useAttempt();
  const [models, setModels] = useState<ReadonlySet<string>>(() => new Set(outdated.map(({ model }) => keyOf(model))));
  const wanted = outdated.filter(({ model }) => models.has(keyOf(model)));
  const choices = useChoices(outdated, wanted);
  const [boxes, setBoxes] = useState<ReadonlySet<string>>(
    () => new Set(choices.filter(({ refusal }) => refusal === undefined).map(({ name }) => name)),
  );
  const pulls = pullsOf(wanted, boxes);
  const update = async (): Promise<void> => {
    await startPulls({ api, fleet, toasts }, pulls, { doing: "Updating" });
    onClose();
  };
  const where = [...new Set(pulls.flatMap(({ agents }) => agents))];
  const bytes = where.reduce((sum, agent) => sum + mostBytes(wanted, agent), 0);
  const isOne = outdated.length === 1;
  return (
    <Dialog title={isOne ? `Update ${outdated[0]?.model.name}` : "Update models"} onClose={onClose} isWide={!isOne}>
      <Summary bytes={bytes} boxes={where.length} />
      <div class={isOne ? "" : "dialog-columns"}>
        {!isOne && <ModelPicker outdated={outdated} chosen={models} onChange={setModels} />}
        <BoxPicker legend="On these boxes" boxes={choices} chosen={boxes} onChange={setBoxes} />
      </div>
      <DialogEnd failure={failure} cancel={onClose}>
        <button
          type="button"
          class="button primary"
          aria-disabled={isRunning || pulls.length === 0}
          onClick={() => pulls.length > 0 && void start(update)}
        >
          {`Update on ${where.length === 1 ? where.join("") : plural(where.length, "box", "boxes")}`}
        </button>
      </DialogEnd>
    </Dialog>
  );
}

function Summary({ bytes, boxes }: { readonly bytes: number; readonly boxes: number }): JSX.Element {
  return (
    <p class="dialog-text">
      <span>
        {`At most ${formatBytes(bytes)} to fetch on ${plural(boxes, "box", "boxes")}. `}
        <span class="quiet">Layers that a box already has are not fetched again. Current models stay untouched.</span>
      </span>
    </p>
  );
}

/** Of each name once: boxes may have different models under it. */
function pullsOf(wanted: readonly Outdated[], boxes: ReadonlySet<string>): readonly WantedPull[] {
  const byName = [...Map.groupBy(wanted, ({ model }) => model.name)];
  const pulls = byName.map(([model, of]) => {
    return { model, agents: of.flatMap(({ agents }) => agents).filter((agent) => boxes.has(agent)) };
  });
  return pulls.filter(({ agents }) => agents.length > 0);
}

/** Each box that has one of them, with what it would fetch and its free disk. */
function useChoices(outdated: readonly Outdated[], wanted: readonly Outdated[]) {
  const boxes = useFleet((fleet) => fleet.agents);
  const jobs = useFleet((fleet) => fleet.jobs);
  const holders = new Set(outdated.flatMap(({ agents }) => agents));
  return boxes
    .filter(({ agent }) => holders.has(agent))
    .map((box) => {
      const count = wanted.filter(({ agents }) => agents.includes(box.agent)).length;
      const words = <BoxWords count={count} bytes={mostBytes(wanted, box.agent)} room={roomOn(box, jobs)} />;
      return { name: box.agent, refusal: refusalOf(box), words };
    });
}

interface BoxWordsProps {
  readonly count: number;
  readonly bytes: number;
  readonly room: number | null;
}

function BoxWords({ count, bytes, room }: BoxWordsProps): JSX.Element {
  if (count === 0) return <span class="quiet">none of these</span>;
  return (
    <>
      <span class="quiet">{`${plural(count, "model")}, at most ${formatBytes(bytes)}`}</span>
      {room !== null && (
        <span class={bytes > room ? "verdict bad" : "quiet"}>
          {bytes > room ? `only ${formatBytes(room)} free` : `${formatBytes(room)} free`}
        </span>
      )}
    </>
  );
}
