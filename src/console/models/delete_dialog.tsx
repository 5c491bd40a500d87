// The dialog that deletes models: it says first what that frees, and where.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import type { DeletedDocument } from "../../documents/outcomes.ts";
import { BoxPicker } from "../parts/box_picker.tsx";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { plural } from "../parts/text.tsx";
import { failuresOf, useAttempt, workThrough } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";
import { useFleet } from "../shell/use_fleet.ts";
import { type FleetModel, freedOn } from "./facts/model_facts.ts";
import { type ActiveModels, purposesOf } from "./facts/purposes.ts";
import { refusalOf } from "./facts/room.ts";

interface DeleteDialogProps {
  readonly deleted: readonly FleetModel[];
  readonly all: readonly FleetModel[];
  readonly active: ActiveModels | undefined;
  /** Reads the list again: a deleted model is not shown any more. */
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

export function DeleteDialog({ deleted, all, active, again, onClose }: DeleteDialogProps): JSX.Element {
  const boxes = useFleet((fleet) => fleet.agents);
  const holders = boxes.filter(({ agent }) => deleted.some(({ agents }) => agents.includes(agent)));
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    () => new Set(holders.filter((box) => refusalOf(box) === undefined).map(({ agent }) => agent)),
  );
  const [done, setDone] = useState(0);
  const { isRunning, failure, start } = useAttempt();
  const pairs = [...chosen].flatMap((agent) =>
    deleted.filter(({ agents }) => agents.includes(agent)).map(({ name }) => ({ agent, name })),
  );
  const remove = useDelete({ deleted, again, onClose });
  const choices = holders.map((box) => {
    const { agent } = box;
    const { bytes, keptBy } = freedOn(agent, deleted, all);
    const words = <FreedWords bytes={bytes} keptBy={keptBy} />;
    return { name: agent, refusal: refusalOf(box), words };
  });
  return (
    <Dialog
      title={deleted.length === 1 ? `Delete ${deleted[0]?.name}?` : `Delete ${plural(deleted.length, "model")}?`}
      onClose={onClose}
    >
      <Summary deleted={deleted} all={all} active={active} chosen={chosen} />
      <BoxPicker legend="From these boxes" boxes={choices} chosen={chosen} onChange={setChosen} />
      <DialogEnd failure={failure} cancel={onClose}>
        <button
          type="button"
          class="button primary-danger"
          aria-disabled={isRunning || pairs.length === 0}
          onClick={() => pairs.length > 0 && void start(async () => await remove(pairs, setDone))}
        >
          {isRunning ? `Deleting ${done} of ${pairs.length}…` : buttonText(chosen)}
        </button>
      </DialogEnd>
    </Dialog>
  );
}

interface Pair {
  readonly agent: string;
  readonly name: string;
}

/** Deletes these; fails when each fails. */
function useDelete({ deleted, again, onClose }: Pick<DeleteDialogProps, "deleted" | "again" | "onClose">) {
  const { api, toasts } = useConsole();
  return async (pairs: readonly Pair[], seen: (done: number) => void): Promise<void> => {
    const path = ({ agent, name }: Pair): string => `v1/agents/${agent}/models/${encodeURIComponent(name)}`;
    const outcomes = await workThrough(pairs, async (pair) => await api.delete<DeletedDocument>(path(pair)), seen);
    await again();
    const failures = failuresOf(outcomes);
    onClose();
    const done = outcomes.flatMap(({ value }) => value?.agents ?? []);
    toasts.done(resultText(done, deleted));
    for (const each of failures) toasts.failed(each);
  };
}

function buttonText(chosen: ReadonlySet<string>): string {
  return `Delete from ${chosen.size === 1 ? [...chosen].join("") : plural(chosen.size, "box", "boxes")}`;
}

function FreedWords({ bytes, keptBy }: { readonly bytes: number; readonly keptBy: readonly string[] }): JSX.Element {
  return (
    <span class="quiet">
      {keptBy.length === 0
        ? `frees up to ${formatBytes(bytes)}`
        : `frees ${bytes === 0 ? "nothing" : formatBytes(bytes)}: shared with ${keptBy.join(", ")}`}
    </span>
  );
}

type SummaryProps = Pick<DeleteDialogProps, "deleted" | "all" | "active"> & { readonly chosen: ReadonlySet<string> };

function Summary({ deleted, all, active, chosen }: SummaryProps): JSX.Element {
  const bytes = [...chosen].reduce((sum, agent) => sum + freedOn(agent, deleted, all).bytes, 0);
  const uses = deleted.flatMap(({ name }) =>
    purposesOf(name, active).map((purpose) => `${name} is the platform's model for ${purpose}.`),
  );
  const where = chosen.size === 1 ? `on ${[...chosen].join("")}` : `on ${plural(chosen.size, "box", "boxes")}`;
  return (
    <div class="dialog-text">
      {deleted.length > 1 && <p class="quiet">{deleted.map(({ name }) => name).join(", ")}</p>}
      <p>
        {`This frees up to ${formatBytes(bytes)} ${where}. `}
        <span class="quiet">Data shared with other models is kept.</span>
      </p>
      {uses.map((text) => (
        <p key={text} class="notice">
          {text}
        </p>
      ))}
    </div>
  );
}

/** What the boxes freed, in their own figures. */
function resultText(outcomes: DeletedDocument["agents"], deleted: readonly FleetModel[]): string {
  const freed = outcomes.reduce((sum, { freed_bytes: bytes = 0 }) => sum + bytes, 0);
  const shared = outcomes.reduce((sum, { shared_bytes: bytes = 0 }) => sum + bytes, 0);
  const boxes = new Set(outcomes.map(({ agent }) => agent));
  const what = deleted.length === 1 ? deleted[0]?.name : plural(deleted.length, "model");
  const where = boxes.size === 1 ? [...boxes].join("") : plural(boxes.size, "box", "boxes");
  const stays = shared === 0 ? "" : `, ${formatBytes(shared)} kept for other models`;
  return `${what} is deleted from ${where}: ${formatBytes(freed)} freed${stays}`;
}
