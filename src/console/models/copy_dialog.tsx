// The dialog that gives a model a second name.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { BoxPicker } from "../parts/box_picker.tsx";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { NameField } from "../parts/name_field.tsx";
import { plural } from "../parts/text.tsx";
import { failuresOf, useAttempt, workThrough } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";
import { useFleet } from "../shell/use_fleet.ts";
import type { FleetModel } from "./facts/model_facts.ts";
import { refusalOf } from "./facts/room.ts";

interface CopyDialogProps {
  readonly model: FleetModel;
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

export function CopyDialog({ model, again, onClose }: CopyDialogProps): JSX.Element {
  const boxes = useFleet((fleet) => fleet.agents).filter(({ agent }) => model.agents.includes(agent));
  const online = boxes.filter((box) => refusalOf(box) === undefined).map(({ agent }) => agent);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set(online));
  const [name, setName] = useState("");
  const { isRunning, failure, start } = useAttempt();
  const isReady = name.trim() !== "" && chosen.size > 0;
  const copy = useCopy({ model, again, onClose }, name.trim());
  const submit = (event: Event): void => {
    event.preventDefault();
    if (isReady) void start(async () => await copy([...chosen]));
  };
  return (
    <Dialog title={`Copy ${model.name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <NameField label="Second name" value={name} onInput={setName} />
        <p class="hint">Uses no disk. A model that has this name already is replaced.</p>
        <BoxPicker
          legend="On these boxes"
          boxes={boxes.map((box) => ({ name: box.agent, refusal: refusalOf(box), words: "" }))}
          chosen={chosen}
          onChange={setChosen}
        />
        <DialogEnd failure={failure} cancel={onClose}>
          <button type="submit" class="button primary" aria-disabled={isRunning || !isReady}>
            Copy
          </button>
        </DialogEnd>
      </form>
    </Dialog>
  );
}

/** Copies it on these boxes; fails when it fails on each. */
function useCopy({ model, again, onClose }: CopyDialogProps, destination: string) {
  const { api, toasts } = useConsole();
  return async (agents: readonly string[]): Promise<void> => {
    const path = (agent: string): string => `v1/agents/${agent}/models/${encodeURIComponent(model.name)}/copy`;
    const outcomes = await workThrough(agents, async (agent) => await api.post(path(agent), { destination }));
    await again();
    const failures = failuresOf(outcomes);
    onClose();
    toasts.done(
      `Copied ${model.name} to ${destination} on ${plural(outcomes.length - failures.length, "box", "boxes")}`,
    );
    for (const each of failures) toasts.failed(each);
  };
}
