// The view of the models of the whole fleet, or of one.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import { DriftPanel } from "../desired/drift_panel.tsx";
import { FetchesNow } from "../mirror/fetches_panel.tsx";
import { Filter } from "../parts/filter.tsx";
import { Failure } from "../parts/panel.tsx";
import { plural } from "../parts/text.tsx";
import { useFleet, useMay, useMayOnAll, useQuery } from "../shell/use_fleet.ts";
import { type Fetches, useFetches, useHasMirror } from "../shell/use_mirror.ts";
import { ActivePanel } from "./active_models.tsx";
import { DeleteDialog } from "./delete_dialog.tsx";
import { type FleetModel, keyOf, searchedText, whereText } from "./facts/model_facts.ts";
import { type ActiveModels, useActiveModels } from "./facts/purposes.ts";
import { type Models, useModels } from "./facts/use_models.ts";
import { ModelPage } from "./model_page.tsx";
import { ModelTable } from "./model_table.tsx";
import { type MirrorChoice, PullDialog } from "./pulls/pull_dialog.tsx";
import { PullsNow } from "./pulls/pulls_now.tsx";
import { NotCompared } from "./updates/not_compared.tsx";
import { UpdatesPanel } from "./updates/updates_panel.tsx";
import { type Updates, useUpdates } from "./updates/use_updates.ts";

export function ModelsPage({ rest: [name, digest] }: { readonly rest: readonly string[] }): JSX.Element {
  const read = useModels();
  const updates = useUpdates(read.isRead);
  const hasMirror = useHasMirror() === true;
  const fetches = useFetches(hasMirror);
  const mayFetch = useMayOnAll("pull_model");
  const mirror = hasMirror && mayFetch ? { again: fetches.again, isChosen: false } : undefined;
  if (name === undefined) return <ModelList read={read} updates={updates} fetches={fetches} mirror={mirror} />;
  const key = `${name} ${digest}`;
  return <ModelPage key={key} name={name} digest={digest} read={read} updates={updates} mirror={mirror} />;
}

type Open =
  | { readonly kind: "pull"; readonly names: readonly string[] }
  | { readonly kind: "delete"; readonly models: readonly FleetModel[] };

interface ModelListProps {
  readonly read: Models;
  readonly updates: Updates;
  readonly fetches: Fetches;
  readonly mirror: MirrorChoice | undefined;
}

function ModelList({ read, updates, fetches, mirror }: ModelListProps): JSX.Element {
  const { models } = read;
  const [mayPull, mayDelete] = [useMay("pull_model"), useMay("delete_model")];
  const { document: active, again: readActive } = useActiveModels();
  const [text, setText] = useQuery("q");
  const [open, setOpen] = useState<Open>();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const shown = useSearched(models, text);
  const selected = models.filter((model) => chosen.has(keyOf(model)));
  return (
    <>
      <Head text={text} search={setText} pull={mayPull ? () => setOpen({ kind: "pull", names: [] }) : undefined} />
      {active !== undefined && <ActivePanel active={active} models={models} again={readActive} />}
      <Changes models={models} updates={updates} fetches={fetches} />
      <Selection
        selected={selected}
        clear={() => setChosen(new Set())}
        pull={mayPull ? () => setOpen({ kind: "pull", names: selected.map(({ name }) => name) }) : undefined}
        remove={mayDelete ? () => setOpen({ kind: "delete", models: selected }) : undefined}
      />
      <Shown read={read} count={shown.length} />
      {shown.length > 0 && (
        <ModelTable
          models={shown}
          active={active}
          compared={updates.compared}
          chosen={chosen}
          choose={mayPull || mayDelete ? setChosen : undefined}
          remove={mayDelete ? (model) => setOpen({ kind: "delete", models: [model] }) : undefined}
        />
      )}
      <NotIncluded read={read} updates={updates} />
      {open !== undefined && (
        <OpenDialog open={open} read={read} active={active} mirror={mirror} onClose={() => setOpen(undefined)} />
      )}
    </>
  );
}

/** What changes the models of the fleet now, and what should. */
function Changes({ models, updates, fetches }: ChangesProps): JSX.Element {
  return (
    <>
      <DriftPanel />
      <UpdatesPanel models={models} updates={updates} />
      <FetchesNow read={fetches} />
      <PullsNow />
    </>
  );
}

type ChangesProps = Pick<ModelListProps, "updates" | "fetches"> & Pick<Models, "models">;

/** The boxes and the newer versions that nothing is known of. */
function NotIncluded({ read: { missing }, updates }: Pick<ModelListProps, "read" | "updates">): JSX.Element {
  return (
    <>
      {missing.length > 0 && (
        <p class="quiet small missing">{`${whereText(missing, 80)} not included: not reporting`}</p>
      )}
      <NotCompared updates={updates} />
    </>
  );
}

interface OpenDialogProps {
  readonly open: Open;
  readonly read: Models;
  readonly active: ActiveModels | undefined;
  readonly mirror: MirrorChoice | undefined;
  readonly onClose: () => void;
}

function OpenDialog({ open, read: { models, again }, active, mirror, onClose }: OpenDialogProps): JSX.Element {
  if (open.kind === "pull") return <PullDialog models={models} names={open.names} mirror={mirror} onClose={onClose} />;
  return <DeleteDialog deleted={open.models} all={models} active={active} again={again} onClose={onClose} />;
}

function useSearched(models: readonly FleetModel[], text: string): readonly FleetModel[] {
  return useMemo(() => {
    const searched = text.trim().toLowerCase();
    return searched === "" ? models : models.filter((model) => searchedText(model).includes(searched));
  }, [models, text]);
}

interface HeadProps {
  readonly text: string;
  readonly search: (text: string) => void;
  readonly pull: (() => void) | undefined;
}

function Head({ text, search, pull }: HeadProps): JSX.Element {
  return (
    <div class="page-head">
      <h1>Models</h1>
      <Filter label="Filter by name, family or box" value={text} onChange={search} />
      {pull !== undefined && (
        <button type="button" class="button primary end" onClick={pull}>
          Pull a model
        </button>
      )}
    </div>
  );
}

interface SelectionProps {
  readonly selected: readonly FleetModel[];
  readonly clear: () => void;
  readonly pull: (() => void) | undefined;
  readonly remove: (() => void) | undefined;
}

/** Actions on several models at once. */
function Selection({ selected, clear, pull, remove }: SelectionProps): JSX.Element | null {
  if (selected.length === 0) return null;
  const bytes = selected.reduce((sum, { size, agents }) => sum + size * agents.length, 0);
  const boxes = new Set(selected.flatMap(({ agents }) => agents));
  return (
    <div class="selection" role="region" aria-label="Selected models">
      <span class="strong">{plural(selected.length, "model")}</span>
      <span class="quiet">{`${formatBytes(bytes)} on ${plural(boxes.size, "box", "boxes")}`}</span>
      <span class="selection-buttons">
        {pull !== undefined && (
          <button type="button" class="button" onClick={pull}>
            Pull on more boxes
          </button>
        )}
        {remove !== undefined && (
          <button type="button" class="button danger" onClick={remove}>
            Delete selected
          </button>
        )}
        <button type="button" class="button quiet-button" onClick={clear}>
          Clear
        </button>
      </span>
    </div>
  );
}

function Shown({ read, count }: { readonly read: Models; readonly count: number }): JSX.Element {
  const { models, isRead, isCut, failure } = read;
  const boxes = useFleet((fleet) => fleet.agents);
  return (
    <>
      <p class="only-read" role="status">
        {plural(count, "model")} shown
      </p>
      {failure !== undefined && <Failure failure={failure} />}
      {isCut && <p class="notice">{`Only the first ${plural(models.length, "model")} by name are shown.`}</p>}
      {!isRead && failure === undefined && <p class="empty">Loading models…</p>}
      {isRead && models.length > 0 && count === 0 && <p class="empty">No model matches the filter.</p>}
      {isRead && models.length === 0 && (
        <p class="empty">{boxes.length === 0 ? "No box has reported yet." : "No box has a model yet."}</p>
      )}
    </>
  );
}
