// The dialog that revokes a token.
import type { JSX } from "preact";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { useAttempt } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";
import type { Token } from "./token.ts";

interface RevokeTokenProps {
  readonly token: Token;
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

export function RevokeToken({ token: { name }, again, onClose }: RevokeTokenProps): JSX.Element {
  const { api, session, toasts } = useConsole();
  const { isRunning, failure, start } = useAttempt();
  const revoke = async (): Promise<void> => {
    await api.delete(`v1/tokens/${encodeURIComponent(name)}`);
    await again();
    onClose();
    toasts.done(`Token ${name} is revoked`);
  };
  return (
    <Dialog title={`Revoke ${name}?`} onClose={onClose}>
      <div class="dialog-text">
        <p>The token, its sessions and streams end immediately. Programs that use it stop working.</p>
        {session.present?.name === name && <p class="notice">This is your own token: it signs you out.</p>}
      </div>
      <DialogEnd failure={failure} cancel={onClose}>
        <button
          type="button"
          class="button primary-danger"
          aria-disabled={isRunning}
          onClick={() => void start(revoke)}
        >
          Revoke
        </button>
      </DialogEnd>
    </Dialog>
  );
}
