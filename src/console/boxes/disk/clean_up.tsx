// The dialog that removes what downloads and deletes left on a box: a dry run shows first what that would be.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatBytes } from "../../../base/format.ts";
import type { PrunedDocument } from "../../../documents/models/disk.ts";
import { Dialog, DialogEnd } from "../../parts/dialog.tsx";
import { Foreign, plural } from "../../parts/text.tsx";
import { useAttempt } from "../../parts/work.ts";
import { useConsole } from "../../shell/console.ts";
import { agreedOf, type Kind, keptReasons, type Pruned, removable } from "./removal.ts";

interface CleanUpProps {
  readonly agent: string;
  /** Measures again. */
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

const KINDS: readonly (readonly [kind: Kind, one: string])[] = [
  ["partial", "unfinished download"],
  ["orphan", "orphaned blob"],
];

export function CleanUp({ agent, again, onClose }: CleanUpProps): JSX.Element {
  const { toasts } = useConsole();
  const prune = usePrune(agent);
  const { isRunning, failure, start } = useAttempt();
  const [found, setFound] = useState<Pruned>();
  const [kinds, setKinds] = useState<ReadonlySet<Kind>>(new Set(KINDS.map(([kind]) => kind)));
  useEffect(() => void start(async () => setFound(await prune({ dry_run: true }))), []);
  const chosen = found === undefined ? { count: 0, bytes: 0 } : removable(found, kinds);
  const isReady = found !== undefined && chosen.count > 0 && !isRunning;
  const remove = async (shown: Pruned): Promise<void> => {
    const { bytes, count } = await prune(agreedOf(shown, kinds));
    await again();
    onClose();
    toasts.done(`Removed ${plural(count, "blob")} from ${agent}: ${formatBytes(bytes)} freed`);
  };
  return (
    <Dialog title={`Clean up ${agent}`} onClose={onClose}>
      <div class="dialog-text" role="status">
        {found === undefined && failure === undefined && <p class="quiet">Checking what can be removed…</p>}
        {found !== undefined && <Choices found={found} kinds={kinds} onChange={setKinds} />}
        {found !== undefined && <Kept found={found} />}
      </div>
      <DialogEnd failure={failure} cancel={onClose}>
        <button
          type="button"
          class="button primary-danger"
          aria-disabled={!isReady}
          onClick={() => isReady && void start(async () => await remove(found))}
        >
          {isRunning && found !== undefined ? "Removing…" : `Remove ${formatBytes(chosen.bytes)}`}
        </button>
      </DialogEnd>
    </Dialog>
  );
}

function usePrune(agent: string) {
  const { api } = useConsole();
  return async (choices: object): Promise<Pruned> => {
    const { agents } = await api.post<PrunedDocument>(`v1/agents/${agent}/prune`, choices);
    return agents[0]?.pruned ?? { dry_run: false, bytes: 0, count: 0, removed: [], kept: [] };
  };
}

interface ChoicesProps {
  readonly found: Pruned;
  readonly kinds: ReadonlySet<Kind>;
  readonly onChange: (kinds: ReadonlySet<Kind>) => void;
}

function Choices({ found, kinds, onChange }: ChoicesProps): JSX.Element {
  const present = KINDS.filter(([kind]) => removable(found, new Set([kind])).count > 0);
  if (present.length === 0) return <p>Nothing can be removed now.</p>;
  const change = (kind: Kind, isChosen: boolean): void => {
    const others = [...kinds].filter((each) => each !== kind);
    onChange(new Set(isChosen ? [...others, kind] : others));
  };
  return (
    <>
      {present.map(([kind, one]) => {
        const { count, bytes } = removable(found, new Set([kind]));
        return (
          <label key={kind} class="radio">
            <input
              type="checkbox"
              checked={kinds.has(kind)}
              onChange={(event) => change(kind, event.currentTarget.checked)}
            />
            {`${plural(count, one)}, ${formatBytes(bytes)}`}
          </label>
        );
      })}
      <p class="quiet small">
        No pull and no installed model needs them. The box checks each again right before it removes it.
      </p>
    </>
  );
}

/** The blobs that would stay, with their reasons. */
function Kept({ found }: { readonly found: Pruned }): JSX.Element | null {
  const reasons = keptReasons(found);
  if (reasons.length === 0) return null;
  return (
    <ul class="small">
      {reasons.map(([reason, { count, bytes }]) => (
        <li key={reason}>
          <Foreign class="quiet wrapped" text={`${plural(count, "blob")}, ${formatBytes(bytes)} kept: ${reason}`} />
        </li>
      ))}
    </ul>
  );
}
