// The fields of a new token.
import type { JSX } from "preact";
import { BoxPicker } from "../parts/box_picker.tsx";
import { NameField } from "../parts/name_field.tsx";
import { useFleet } from "../shell/use_fleet.ts";
import { ROLES } from "./token.ts";

export interface Draft {
  readonly name: string;
  readonly role: "gp" | "viewer";
  readonly isLimited: boolean;
  readonly agents: ReadonlySet<string>;
  /** `2027-06-01`, or empty. */
  readonly lastDay: string;
}

interface TokenFieldsProps {
  readonly draft: Draft;
  readonly onChange: (draft: Draft) => void;
}

export function TokenFields({ draft, onChange }: TokenFieldsProps): JSX.Element {
  return (
    <div class="fields">
      <NameField label="Name" maxLength={64} value={draft.name} onInput={(name) => onChange({ ...draft, name })} />
      <fieldset class="choices">
        <legend>Role</legend>
        {(["viewer", "gp"] as const).map((role) => (
          <Radio
            key={role}
            name="role"
            words={`${role}, ${ROLES[role]}`}
            isChosen={draft.role === role}
            choose={() => onChange({ ...draft, role })}
          />
        ))}
      </fieldset>
      <Where draft={draft} onChange={onChange} />
      <label class="field">
        <span>Last day</span>
        <input
          type="date"
          value={draft.lastDay}
          onInput={(event) => onChange({ ...draft, lastDay: event.currentTarget.value })}
        />
        <span class="hint">Leave empty to use your own token's expiry, if it has one.</span>
      </label>
    </div>
  );
}

function Where({ draft, onChange }: TokenFieldsProps): JSX.Element {
  const boxes = useFleet((fleet) => fleet.agents);
  return (
    <>
      <fieldset class="choices">
        <legend>Scope</legend>
        <Radio
          name="scope"
          words="all boxes you can see"
          isChosen={!draft.isLimited}
          choose={() => onChange({ ...draft, isLimited: false })}
        />
        <Radio
          name="scope"
          words="only some boxes"
          isChosen={draft.isLimited}
          choose={() => onChange({ ...draft, isLimited: true })}
        />
      </fieldset>
      {draft.isLimited && (
        <BoxPicker
          legend="Boxes"
          boxes={boxes.map(({ agent }) => ({ name: agent, words: "" }))}
          chosen={draft.agents}
          onChange={(agents) => onChange({ ...draft, agents })}
        />
      )}
    </>
  );
}

interface RadioProps {
  readonly name: string;
  readonly words: string;
  readonly isChosen: boolean;
  readonly choose: () => void;
}

function Radio({ name, words, isChosen, choose }: RadioProps): JSX.Element {
  return (
    <label class="radio">
      <input type="radio" name={name} checked={isChosen} onChange={choose} />
      {words}
    </label>
  );
}
