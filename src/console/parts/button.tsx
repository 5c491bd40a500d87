// A button that starts something: it shows that it works on it, and cannot be pressed twice meanwhile.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

interface ActionProps {
  /** Failures are shown by the one who gives it. */
  readonly run: () => Promise<void>;
  readonly children: ComponentChildren;
  readonly kind?: "plain" | "primary" | "danger";
  /** For screen readers, where the words alone are the same in each row. */
  readonly label?: string;
}

export function Action({ run, children, kind = "plain", label }: ActionProps): JSX.Element {
  const [isRunning, setRunning] = useState(false);
  const press = async (): Promise<void> => {
    if (isRunning) return;
    setRunning(true);
    await run().finally(() => setRunning(false));
  };
  return (
    <button
      type="button"
      class={`button ${kind}`}
      aria-label={label}
      aria-disabled={isRunning}
      onClick={() => void press()}
    >
      {children}
    </button>
  );
}
