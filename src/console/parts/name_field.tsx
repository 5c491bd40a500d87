// The field for a name at the top of a dialog: the keyboard is in it when the dialog opens.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface NameFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly placeholder?: string;
  readonly maxLength?: number;
}

export function NameField({ label, value, onInput, placeholder, maxLength }: NameFieldProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  return (
    <label class="field">
      <span>{label}</span>
      <input
        ref={input}
        type="text"
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        maxLength={maxLength}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}
