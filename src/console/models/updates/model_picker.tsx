// Outdated models to choose some of, each with its size now and its size after the update.
import type { JSX } from "preact";
import { formatBytes } from "../../../base/format.ts";
import { countText } from "../../parts/local_text.ts";
import { Foreign } from "../../parts/text.tsx";
import { keyOf, whereText } from "../facts/model_facts.ts";
import type { Outdated } from "./newer.ts";

interface ModelPickerProps {
  readonly outdated: readonly Outdated[];
  /** By `keyOf()`. */
  readonly chosen: ReadonlySet<string>;
  readonly onChange: (chosen: ReadonlySet<string>) => void;
}

export function ModelPicker({ outdated, chosen, onChange }: ModelPickerProps): JSX.Element {
  const keys = outdated.map(({ model }) => keyOf(model));
  const isAll = keys.every((key) => chosen.has(key));
  const change = (key: string, isChosen: boolean): void => {
    const others = [...chosen].filter((each) => each !== key);
    onChange(new Set(isChosen ? [...others, key] : others));
  };
  return (
    <fieldset class="picker">
      <legend>These models</legend>
      <div class="picker-head">
        <button type="button" class="button" onClick={() => onChange(new Set(isAll ? [] : keys))}>
          {isAll ? "None" : `All ${countText(keys.length)}`}
        </button>
      </div>
      <ul class="picker-list">
        {outdated.map(({ model, update, agents }) => (
          <li key={keyOf(model)}>
            <label class="pick">
              <input
                type="checkbox"
                checked={chosen.has(keyOf(model))}
                onChange={(event) => change(keyOf(model), event.currentTarget.checked)}
              />
              <Foreign class="pick-name" text={model.name} />
              <span class="pick-words">
                <span>{sizesText(model.size, update.registry_size)}</span>
                <Foreign class="quiet" text={whereText(agents, 24)} />
              </span>
            </label>
          </li>
        ))}
      </ul>
    </fieldset>
  );
}

/** `9.1 GB → 9.3 GB`, or the one size where people cannot tell them apart. */
function sizesText(now: number, then: number | null): string {
  const [before, after] = [formatBytes(now), formatBytes(then ?? now)];
  return before === after ? after : `${before} → ${after}`;
}
