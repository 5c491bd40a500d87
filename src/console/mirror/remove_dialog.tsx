// The dialog that removes a model from the mirror.
import type { JSX } from "preact";
import { formatBytes } from "../../base/format.ts";
import type { FreedDocument } from "../../documents/models/mirror.ts";
import { Dialog, DialogEnd } from "../parts/dialog.tsx";
import { useAttempt } from "../parts/work.ts";
import { useConsole } from "../shell/console.ts";
import type { Mirrored } from "./mirrored_models.tsx";

interface RemoveDialogProps {
  readonly model: Mirrored;
  /** Reads the mirror again. */
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

export function RemoveDialog({ model: { name, size }, again, onClose }: RemoveDialogProps): JSX.Element {
  const { api, toasts } = useConsole();
  const { isRunning, failure, start } = useAttempt();
  const remove = async (): Promise<void> => {
    const { bytes } = await api.delete<FreedDocument>(`v1/mirror/models/${encodeURIComponent(name)}`);
    await again();
    onClose();
    toasts.done(`${name} is removed from the mirror: ${formatBytes(bytes)} freed`);
  };
  return (
    <Dialog title={`Remove ${name} from the mirror?`} onClose={onClose}>
      <div class="dialog-text">
        {size !== null && (
          <p>
            {`This frees up to ${formatBytes(size)} on the share. `}
            <span class="quiet">Data shared with other models is kept.</span>
          </p>
        )}
        <p class="quiet">Boxes keep what they have pulled. Those without internet can no longer pull it.</p>
      </div>
      <DialogEnd failure={failure} cancel={onClose}>
        <button
          type="button"
          class="button primary-danger"
          aria-disabled={isRunning}
          onClick={() => void start(remove)}
        >
          {isRunning ? "Removing…" : "Remove from the mirror"}
        </button>
      </DialogEnd>
    </Dialog>
  );
}
