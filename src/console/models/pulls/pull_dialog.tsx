// The dialog that pulls models: named, or from the catalog, on the boxes that are chosen in it.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { BoxPicker } from "../../parts/box_picker.tsx";
import { Dialog, DialogEnd } from "../../parts/dialog.tsx";
import { plural } from "../../parts/text.tsx";
import { useAttempt } from "../../parts/work.ts";
import { useConsole } from "../../shell/console.ts";
import { useFleet } from "../../shell/use_fleet.ts";
import type { FleetModel } from "../facts/model_facts.ts";
import { useFit } from "../facts/use_fit.ts";
import { useCatalog } from "../facts/use_models.ts";
import { CatalogList } from "./catalog_list.tsx";
import { FitLine } from "./fit_words.tsx";
import { boxChoices, type Choosing, knownSizes, type RoomChoice, roomiest } from "./pull_choices.tsx";
import { startPulls } from "./start_pulls.ts";

interface PullDialogProps {
  readonly models: readonly FleetModel[];
  /** To pull on more boxes; empty: the user names one. */
  readonly names: readonly string[];
  /** Undefined: the server runs none, or this user may not fetch. */
  readonly mirror: MirrorChoice | undefined;
  readonly onClose: () => void;
}

export interface MirrorChoice {
  /** Reads the fetches again. */
  readonly again: () => Promise<void>;
  /** At first. */
  readonly isChosen: boolean;
}

export function PullDialog({ models, names, mirror, onClose }: PullDialogProps): JSX.Element {
  const catalog = useCatalog();
  const [typed, setTyped] = useState("");
  const [isVia, setVia] = useState(mirror?.isChosen === true);
  const wanted = names.length > 0 ? names : typed.trim() === "" ? [] : [typed.trim()];
  const fit = useFit(wanted.length === 1 ? wanted[0] : undefined);
  const choices = useChoices({ models, wanted, fit, sizes: knownSizes(catalog, models, fit) });
  const { chosen, choose } = useChosen(choices);
  const { isRunning, failure, pull } = usePull(chosen, isVia ? mirror : undefined, onClose);
  const isReady = wanted.length > 0 && chosen.size > 0;
  return (
    <Dialog title={titleOf(names)} onClose={onClose} isWide={names.length === 0}>
      <div class={names.length === 0 ? "dialog-columns" : ""}>
        {names.length === 0 && (
          <CatalogList
            catalog={catalog}
            typed={typed}
            onType={setTyped}
            pull={async (name) => await pull([name])}
            rooms={choices.filter(({ name }) => chosen.has(name))}
          />
        )}
        <BoxPicker legend="On these boxes" boxes={choices} chosen={chosen} onChange={choose}>
          <FitLine fit={fit} />
        </BoxPicker>
      </div>
      {mirror !== undefined && <ViaMirror isVia={isVia} onChange={setVia} />}
      <DialogEnd failure={failure} cancel={onClose}>
        <PullButton chosen={chosen} isReady={isReady && !isRunning} pull={() => isReady && void pull(wanted)} />
      </DialogEnd>
    </Dialog>
  );
}

/** @param via undefined: not through the mirror */
function usePull(chosen: ReadonlySet<string>, via: MirrorChoice | undefined, onClose: () => void) {
  const { api, fleet, toasts } = useConsole();
  const { isRunning, failure, start } = useAttempt();
  const pull = async (pulled: readonly string[]): Promise<void> => {
    await start(async () => {
      const pulls = pulled.map((model) => ({ model, agents: [...chosen] }));
      await startPulls({ api, fleet, toasts }, pulls, via === undefined ? {} : { via: "mirror" });
      await via?.again();
      onClose();
    });
  };
  return { isRunning, failure, pull };
}

function useChoices(about: Omit<Choosing, "boxes" | "jobs">): readonly RoomChoice[] {
  const boxes = useFleet((fleet) => fleet.agents);
  const jobs = useFleet((fleet) => fleet.jobs);
  return useInOrder(boxChoices({ ...about, boxes, jobs }));
}

interface ViaMirrorProps {
  readonly isVia: boolean;
  readonly onChange: (isVia: boolean) => void;
}

function ViaMirror({ isVia, onChange }: ViaMirrorProps): JSX.Element {
  return (
    <label class="radio via">
      <input type="checkbox" checked={isVia} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>
        {"Through the mirror: "}
        <span class="quiet">the server downloads it once, and every box reads it from the share</span>
      </span>
    </label>
  );
}

interface PullButtonProps {
  readonly chosen: ReadonlySet<string>;
  readonly isReady: boolean;
  readonly pull: () => void;
}

function PullButton({ chosen, isReady, pull }: PullButtonProps): JSX.Element {
  return (
    <button type="button" class="button primary" aria-disabled={!isReady} onClick={pull}>
      {chosen.size === 1 ? `Pull on ${[...chosen].join("")}` : `Pull on ${plural(chosen.size, "box", "boxes")}`}
    </button>
  );
}

/** Until somebody chooses, it is the box with the most room. */
function useChosen(choices: readonly RoomChoice[]) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [isTouched, setTouched] = useState(false);
  const first = roomiest(choices);
  useEffect(() => {
    if (!isTouched) setChosen(new Set(first === undefined ? [] : [first]));
  }, [isTouched, first]);
  const choose = (next: ReadonlySet<string>): void => {
    setTouched(true);
    setChosen(next);
  };
  return { chosen, choose };
}

/** The one with the most room first. They keep their places while figures change. */
function useInOrder(choices: readonly RoomChoice[]): readonly RoomChoice[] {
  const [places] = useState(() => {
    const byRoom = choices.toSorted((a, b) => (b.room ?? -1) - (a.room ?? -1));
    const possible = byRoom.filter(({ refusal }) => refusal === undefined);
    return new Map([...possible, ...byRoom].map(({ name }, index) => [name, index] as const).toReversed());
  });
  const placeOf = ({ name }: RoomChoice): number => places.get(name) ?? places.size * 2;
  return choices.toSorted((a, b) => placeOf(a) - placeOf(b));
}

function titleOf(names: readonly string[]): string {
  if (names.length === 0) return "Pull a model";
  return names.length === 1 ? `Pull ${names.join("")}` : `Pull ${plural(names.length, "model")}`;
}
