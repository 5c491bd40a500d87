// A text to copy, with its button.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const SHOWN_MS = 2_500;

interface CopyTextProps {
  readonly text: string;
  /** Its name for screen readers: `the token`. */
  readonly what: string;
}

export function CopyText({ text, what }: CopyTextProps): JSX.Element {
  const code = useRef<HTMLElement>(null);
  const [result, setResult] = useState("");
  useEffect(() => {
    if (result === "") return undefined;
    const timer = setTimeout(() => setResult(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [result]);
  const copy = async (): Promise<void> => {
    const isDone = await write(text, code.current);
    setResult(isDone ? "Copied" : "Selected: press Ctrl+C");
  };
  return (
    <div class="copy-text">
      <code ref={code} tabIndex={0}>
        {text}
      </code>
      <button type="button" class="button" aria-label={`Copy ${what}`} onClick={() => void copy()}>
        {result === "" ? "Copy" : result}
      </button>
      <span class="only-read" role="status">
        {result}
      </span>
    </div>
  );
}

/** A browser gives pages without TLS no clipboard: there the text is at least selected. */
async function write(text: string, element: HTMLElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (element !== null) getSelection()?.selectAllChildren(element);
    return document.execCommand("copy");
  }
}
