// The dialog that fetches a model into the mirror: named, or from the catalog.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { FetchDocument } from "../../documents/models/mirror.ts";
import { useCatalog } from "../models/facts/use_models.ts";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { NameField } from "../parts/name_field.tsx";
import { Foreign } from "../parts/text.tsx";
import { useAttempt } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";

interface FetchDialogProps {
  /** Names that the mirror has already. */
  readonly known: ReadonlySet<string>;
  /** Reads the fetches again. */
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

export function FetchDialog({ known, again, onClose }: FetchDialogProps): JSX.Element {
  const { api, toasts } = useConsole();
  const [typed, setTyped] = useState("");
  const { isRunning, failure, start } = useAttempt();
  const name = typed.trim();
  const fetchModel = async (model: string): Promise<void> => {
    const started = await api.post<FetchDocument>("v1/mirror/fetches", { model });
    await again();
    onClose();
    toasts.done(`Fetching ${started.model} into the mirror`);
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (name !== "") void start(async () => await fetchModel(name));
  };
  return (
    <Dialog title="Fetch a model" onClose={onClose}>
      <form onSubmit={submit}>
        <div class="fields">
          <NameField label="Model name" placeholder="phi4:latest, hf.co/user/model" value={typed} onInput={setTyped} />
          <p class="hint">The server downloads it once. Every box can then pull it from the share, without internet.</p>
          <Suggestions typed={name} known={known} choose={setTyped} />
        </div>
        <DialogEnd failure={failure} cancel={onClose}>
          <button type="submit" class="button primary" aria-disabled={isRunning || name === ""}>
            Fetch
          </button>
        </DialogEnd>
      </form>
    </Dialog>
  );
}

interface SuggestionsProps {
  readonly typed: string;
  readonly known: ReadonlySet<string>;
  readonly choose: (name: string) => void;
}

/** The models of the catalog that the mirror does not have. */
function Suggestions({ typed, known, choose }: SuggestionsProps): JSX.Element | null {
  const catalog = useCatalog().filter(({ name }) => !known.has(name));
  const fitting = catalog.filter(({ name }) => name.toLowerCase().includes(typed.toLowerCase()));
  const shown = fitting.length > 0 ? fitting : catalog;
  if (shown.length === 0) return null;
  return (
    <ul class="picker-list" aria-label="Catalog">
      {shown.map(({ name, size }) => (
        <li key={name}>
          <button type="button" class="pick" aria-pressed={name === typed} onClick={() => choose(name)}>
            <Foreign class="pick-name" text={name} />
            <Foreign class="pick-words quiet" text={size} />
          </button>
        </li>
      ))}
    </ul>
  );
}
