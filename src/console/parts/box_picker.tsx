// Boxes to choose some of, with what speaks for and against each.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { countText } from "./local_text.ts";
import { plural } from "./text.tsx";

export interface BoxChoice {
  readonly name: string;
  /** Why it cannot be chosen; undefined: it can. */
  readonly refusal?: string | undefined;
  readonly words: ComponentChildren;
}

interface BoxPickerProps {
  readonly legend: string;
  readonly boxes: readonly BoxChoice[];
  readonly chosen: ReadonlySet<string>;
  readonly onChange: (chosen: ReadonlySet<string>) => void;
  /** Under the boxes. */
  readonly children?: ComponentChildren;
}

const FEW = 8;
/** With more, a browser is slow: the filter leads to the others. */
const MOST_SHOWN = 200;

export function BoxPicker({ legend, boxes, chosen, onChange, children }: BoxPickerProps): JSX.Element {
  const [text, setText] = useState("");
  const wanted = boxes.filter(({ name }) => name.includes(text.trim().toLowerCase()));
  const possible = wanted.filter(({ refusal }) => refusal === undefined).map(({ name }) => name);
  const isAll = possible.length > 0 && possible.every((name) => chosen.has(name));
  const turn = (): void => {
    const others = [...chosen].filter((name) => !possible.includes(name));
    onChange(new Set(isAll ? others : [...others, ...possible]));
  };
  return (
    <fieldset class="picker">
      <legend>{legend}</legend>
      {boxes.length > 1 && (
        <div class="picker-head">
          {boxes.length > FEW && (
            <input
              type="search"
              aria-label="Filter the boxes"
              placeholder="Filter"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          )}
          <button type="button" class="button" onClick={turn}>
            {isAll ? "None" : `All ${countText(possible.length)}`}
          </button>
        </div>
      )}
      <Choices boxes={wanted.slice(0, MOST_SHOWN)} chosen={chosen} onChange={onChange} />
      {wanted.length > MOST_SHOWN && (
        <p class="quiet none">{`${plural(wanted.length - MOST_SHOWN, "more box", "more boxes")}: filter to see them.`}</p>
      )}
      {children}
    </fieldset>
  );
}

function Choices({ boxes, chosen, onChange }: Omit<BoxPickerProps, "legend" | "children">): JSX.Element {
  const change = (name: string, isChosen: boolean): void => {
    const others = [...chosen].filter((each) => each !== name);
    onChange(new Set(isChosen ? [...others, name] : others));
  };
  return (
    <ul class="picker-list">
      {boxes.map(({ name, refusal, words }) => (
        <li key={name}>
          <label class={refusal === undefined ? "pick" : "pick impossible"}>
            <input
              type="checkbox"
              checked={chosen.has(name)}
              disabled={refusal !== undefined}
              onChange={(event) => change(name, event.currentTarget.checked)}
            />
            <span class="pick-name">{name}</span>
            <span class="pick-words">{refusal ?? words}</span>
          </label>
        </li>
      ))}
    </ul>
  );
}
