// A field that filters a list, and a choice between a few kinds of rows.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { countText } from "./local_text.ts";

interface FilterProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** The key / leads to it. */
export function Filter({ label, value, onChange }: FilterProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof Element && event.target.matches("input, textarea, select");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <input
      ref={input}
      class="filter"
      type="search"
      aria-label={label}
      placeholder={label}
      autocomplete="off"
      spellcheck={false}
      value={value}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly options: readonly { readonly value: string; readonly title: string; readonly count?: number }[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export function Choice({ label, options, value, onChange }: ChoiceProps): JSX.Element {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map((option) => (
        <button
          type="button"
          key={option.value}
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
        >
          {option.title}
          {option.count !== undefined && <span class="count"> {countText(option.count)}</span>}
        </button>
      ))}
    </div>
  );
}
