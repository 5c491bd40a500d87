// The dialog that gives a model a second name.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { BoxPicker } from "../parts/box_picker.tsx";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { plural } from "../parts/text.tsx";
import { useAttempt, workThrough } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";
import { useFleet } from "../shell/use_fleet.ts";
import type { FleetModel } from "./model_facts.ts";
import { refusalOf } from "./room.ts";

interface CopyDialogProps {
  readonly model: FleetModel;
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

export function CopyDialog({ model, again, onClose }: CopyDialogProps): JSX.Element {
  const { api, toasts } = useConsole();
  const boxes = useFleet((fleet) => fleet.agents).filter(({ agent }) => model.agents.includes(agent));
  const online = boxes.filter((box) => refusalOf(box) === undefined).map(({ agent }) => agent);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set(online));
  const [name, setName] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const { isRunning, failure, start } = useAttempt();
  const isReady = name.trim() !== "" && chosen.size > 0;
  const copy = async (): Promise<void> => {
    const path = (agent: string): string => `v1/agents/${agent}/models/${encodeURIComponent(model.name)}/copy`;
    const body = { destination: name.trim() };
    const outcomes = await workThrough([...chosen], async (agent) => await api.post(path(agent), body));
    await again();
    const failures = outcomes.flatMap((outcome) => (outcome.failure === undefined ? [] : [outcome.failure]));
    const [first] = failures;
    if (first !== undefined && failures.length === outcomes.length) throw first;
    onClose();
    toasts.done(
      `${model.name} is also ${body.destination} on ${plural(outcomes.length - failures.length, "box", "boxes")}`,
    );
    for (const each of failures) toasts.failed(each);
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (isReady) void start(copy);
  };
  return (
    <Dialog title={`Copy ${model.name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <label class="field">
          <span>Second name</span>
          <input
            ref={input}
            type="text"
            autocomplete="off"
            spellcheck={false}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <p class="hint">Uses no disk. A model that has this name already is replaced.</p>
        <BoxPicker
          legend="On these boxes"
          boxes={boxes.map((box) => ({
            name: box.agent,
            refusal: refusalOf(box),
            words: "",
          }))}
          chosen={chosen}
          onChange={setChosen}
        />
        <DialogEnd failure={failure}>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button primary" aria-disabled={isRunning || !isReady}>
            Copy
          </button>
        </DialogEnd>
      </form>
    </Dialog>
  );
}
