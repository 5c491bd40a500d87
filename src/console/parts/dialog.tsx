// A dialog over the page: the browser keeps the focus in it, Escape closes it, and the focus returns to where it was.
import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import type { CourierError } from "../../base/errors.ts";
import { Failure } from "./panel.tsx";

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly isWide?: boolean;
}

/** Open as long as it is drawn. */
export function Dialog({ title, onClose, children, isWide = false }: DialogProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const isGone = useRef(false);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => {
      // Its event comes later, when another dialog may be open in its place.
      isGone.current = true;
      dialog?.close();
      // What opened it may be gone since.
      if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={isWide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onClose={() => !isGone.current && onClose()}
    >
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" class="close" aria-label="Close" onClick={onClose}>
          ×
        </button>
      </div>
      {children}
    </dialog>
  );
}

interface DialogEndProps {
  /** Why the last attempt failed: messages of the page are behind the dialog. */
  readonly failure: CourierError | undefined;
  /** For a button that closes it without an action. */
  readonly cancel?: () => void;
  /** The buttons. */
  readonly children?: ComponentChildren;
}

export function DialogEnd({ failure, cancel, children }: DialogEndProps): JSX.Element {
  return (
    <div class="dialog-end">
      {failure !== undefined && <Failure failure={failure} />}
      <div class="dialog-buttons">
        {cancel !== undefined && (
          <button type="button" class="button" onClick={cancel}>
            Cancel
          </button>
        )}
        {children}
      </div>
    </div>
  );
}
