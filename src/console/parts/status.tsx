// A dot and a word: how something is. The word alone says it; the color only helps.
import type { ComponentChildren, JSX } from "preact";

export type Tone = "good" | "busy" | "warn" | "bad" | "idle";

interface StatusProps {
  readonly tone: Tone;
  readonly children: ComponentChildren;
}

export function Status({ tone, children }: StatusProps): JSX.Element {
  return (
    <span class={`status ${tone}`}>
      <span class="dot" aria-hidden="true" />
      <span class="words">{children}</span>
    </span>
  );
}
