// A button that starts something: it shows that it works on it, and cannot be pressed twice meanwhile.
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

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
  const element = useRef<HTMLButtonElement>(null);
  // What it does may take it away.
  useLayoutEffect(() => () => passFocusOn(element.current), []);
  const press = async (): Promise<void> => {
    if (isRunning) return;
    setRunning(true);
    await run().finally(() => setRunning(false));
  };
  return (
    <button
      ref={element}
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

/** As it leaves the page: if it has the focus, the keyboard goes on with the nearest of what stays around it. */
function passFocusOn(element: HTMLElement | null): void {
  if (element === null || document.activeElement !== element) return;
  const around = ["li", "section", "main"].map((name) => element.closest<HTMLElement>(name));
  // Which of them leave with it is known when the page is drawn.
  queueMicrotask(() => {
    if (document.activeElement !== document.body) return;
    const next = around.find((each) => each?.isConnected === true);
    if (next !== null && next !== undefined) focusOn(next);
  });
}

/** For what a Tab does not reach: the next one leads to the first control in it. */
function focusOn(element: HTMLElement): void {
  if (!element.hasAttribute("tabindex")) {
    element.tabIndex = -1;
    element.addEventListener("blur", () => element.removeAttribute("tabindex"), { once: true });
  }
  element.focus({ preventScroll: true });
}
