// The dialog that creates a token, and shows it once.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { CopyText } from "../parts/copy_button.tsx";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { useAttempt } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";
import type { NewToken } from "./token.ts";
import { type Draft, TokenFields } from "./token_fields.tsx";

interface AddTokenProps {
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

const EMPTY: Draft = { name: "", role: "viewer", isLimited: false, agents: new Set(), lastDay: "" };

export function AddToken({ again, onClose }: AddTokenProps): JSX.Element {
  const { api } = useConsole();
  const [draft, setDraft] = useState(EMPTY);
  const [made, setMade] = useState<NewToken>();
  const { isRunning, failure, start } = useAttempt();
  const isReady = draft.name.trim() !== "" && (!draft.isLimited || draft.agents.size > 0);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (isReady)
      void start(async () => {
        setMade(await api.post<NewToken>("v1/tokens", requestOf(draft)));
        await again();
      });
  };
  if (made !== undefined) return <Made token={made} onClose={onClose} />;
  return (
    <Dialog title="Create a token" onClose={onClose}>
      <form onSubmit={submit}>
        <TokenFields draft={draft} onChange={setDraft} />
        <DialogEnd failure={failure} cancel={onClose}>
          <button type="submit" class="button primary" aria-disabled={isRunning || !isReady}>
            Create
          </button>
        </DialogEnd>
      </form>
    </Dialog>
  );
}

/** A limit that is left out is that of the own token. */
function requestOf({ name, role, isLimited, agents, lastDay }: Draft): object {
  return {
    name: name.trim(),
    role,
    ...(isLimited ? { agents: [...agents] } : {}),
    ...(lastDay === "" ? {} : { expires_at: `${lastDay}T23:59:59Z` }),
  };
}

function Made({ token: { name, token }, onClose }: { readonly token: NewToken; readonly onClose: () => void }) {
  const done = useRef<HTMLButtonElement>(null);
  useEffect(() => done.current?.focus(), []);
  return (
    <Dialog title={`Token ${name}`} onClose={onClose}>
      <div class="dialog-text">
        <p>Copy it now. It cannot be shown again.</p>
        <CopyText text={token} what="the token" />
      </div>
      <DialogEnd failure={undefined}>
        <button type="button" class="button primary" ref={done} onClick={onClose}>
          Done
        </button>
      </DialogEnd>
    </Dialog>
  );
}
