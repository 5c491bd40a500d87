// The messages at the edge of the page, read aloud by screen readers.
import type { JSX } from "preact";
import { useStore } from "../parts/use_store.ts";
import { useConsole } from "./console.ts";

export function ToastList(): JSX.Element {
  const { toasts } = useConsole();
  const shown = useStore(toasts, () => toasts.shown);
  return (
    <div class="toasts" role="status" aria-label="Messages">
      {shown.map(({ id, kind, text, hint }) => (
        <div class={`toast ${kind}`} key={id}>
          <div>
            <p>{text}</p>
            {hint !== undefined && <p class="hint">{hint}</p>}
          </div>
          <button type="button" class="close" aria-label="Close this message" onClick={() => toasts.dismiss(id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
