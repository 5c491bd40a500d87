// The platform's model for each purpose, and the dialog that sets it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { Panel } from "../parts/panel.tsx";
import { Foreign } from "../parts/text.tsx";
import { useAttempt } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";
import { useMay } from "../shell/use_fleet.ts";
import { type FleetModel, whereText } from "./facts/model_facts.ts";
import { type ActiveModels, PURPOSES, type Purpose } from "./facts/purposes.ts";

interface ActivePanelProps {
  readonly active: ActiveModels;
  readonly models: readonly FleetModel[];
  readonly again: () => Promise<void>;
}

export function ActivePanel({ active, models, again }: ActivePanelProps): JSX.Element {
  const maySet = useMay("set_active_models");
  const [purpose, setPurpose] = useState<Purpose>();
  return (
    <Panel title="Active models" aside={<span class="quiet">What the platform uses</span>}>
      <ul class="purposes">
        {PURPOSES.map(([id, title]) => (
          <li key={id}>
            <span class="quiet">{title}</span>
            {active[id] === null ? <span class="quiet">none</span> : <ActiveName name={active[id]} models={models} />}
            {maySet && (
              <button
                type="button"
                class="button"
                aria-label={`Set the model for ${id}`}
                onClick={() => setPurpose(id)}
              >
                Set
              </button>
            )}
          </li>
        ))}
      </ul>
      {purpose !== undefined && (
        <SetDialog
          purpose={purpose}
          active={active}
          models={models}
          again={again}
          onClose={() => setPurpose(undefined)}
        />
      )}
    </Panel>
  );
}

function ActiveName({ name, models }: { readonly name: string; readonly models: readonly FleetModel[] }): JSX.Element {
  const isInstalled = models.length === 0 || models.some((model) => model.name === name);
  return (
    <span class="active-name">
      <Foreign class="strong" text={name} />
      {!isInstalled && <span class="verdict bad">on no box</span>}
    </span>
  );
}

interface SetDialogProps extends ActivePanelProps {
  readonly purpose: Purpose;
  readonly onClose: () => void;
}

const MOST_SHOWN = 200;

function SetDialog({ purpose, active, models, again, onClose }: SetDialogProps): JSX.Element {
  const { api, toasts } = useConsole();
  const [text, setText] = useState("");
  const { failure, start } = useAttempt();
  const names = [...new Map(models.map((model) => [model.name, model])).values()];
  const shown = names.filter(({ name }) => name.toLowerCase().includes(text.trim().toLowerCase()));
  const set = async (model: string): Promise<void> => {
    await api.post("v1/active-models", { type: purpose, model });
    await again();
    onClose();
    toasts.done(`${model} is now the model for ${purpose}`);
  };
  return (
    <Dialog title={`Model for ${purpose}`} onClose={onClose}>
      <input
        type="search"
        class="filter"
        aria-label="Filter the models"
        placeholder="Filter the installed models"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <Installed models={shown} current={active[purpose]} set={(name) => void start(async () => await set(name))} />
      <DialogEnd failure={failure} cancel={onClose} />
    </Dialog>
  );
}

interface InstalledProps {
  readonly models: readonly FleetModel[];
  readonly current: string | null;
  readonly set: (name: string) => void;
}

function Installed({ models, current, set }: InstalledProps): JSX.Element {
  return (
    <>
      <ul class="picker-list" aria-label="Installed models">
        {models.slice(0, MOST_SHOWN).map(({ name, agents }) => (
          <li key={name}>
            <button type="button" class="pick" aria-pressed={current === name} onClick={() => set(name)}>
              <Foreign class="pick-name" text={name} />
              <Foreign class="pick-words quiet" text={whereText(agents, 24)} />
            </button>
          </li>
        ))}
      </ul>
      {models.length === 0 && <p class="quiet none">No installed model fits.</p>}
    </>
  );
}
