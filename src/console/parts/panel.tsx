// A titled part of a page, a list of facts, and a message where there is nothing to show.
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import type { CourierError } from "../../base/errors.ts";

interface PanelProps {
  readonly title: string;
  /** Beside the title. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
  readonly class?: string;
}

export function Panel({ title, aside, children, class: name = "" }: PanelProps): JSX.Element {
  const id = useId();
  return (
    <section class={`panel ${name}`} aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** Those without a value are left out. */
export function Facts({ facts }: { readonly facts: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return (
    <dl class="facts">
      {known.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Failure({ failure }: { readonly failure: CourierError }): JSX.Element {
  const { message, hint } = failure.spoken;
  return (
    <p class="failure" role="alert">
      {message}
      {hint !== undefined && <span class="hint">{hint}</span>}
    </p>
  );
}
