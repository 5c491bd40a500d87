// What to pull: a field for any name, and the models of the catalog, which a click pulls.
import type { JSX } from "preact";
import { NameField } from "../../parts/name_field.tsx";
import { Foreign } from "../../parts/text.tsx";
import { whereText } from "../facts/model_facts.ts";
import { bytesIn, verdictOn } from "../facts/room.ts";
import type { RoomChoice } from "./pull_choices.tsx";

interface CatalogListProps {
  readonly catalog: readonly { readonly name: string; readonly description: string; readonly size: string }[];
  readonly typed: string;
  readonly onType: (name: string) => void;
  readonly pull: (name: string) => Promise<void>;
  /** The chosen boxes. */
  readonly rooms: readonly RoomChoice[];
}

export function CatalogList({ catalog, typed, onType, pull, rooms }: CatalogListProps): JSX.Element {
  const searched = typed.trim().toLowerCase();
  const fitting = catalog.filter(({ name, description }) => `${name} ${description}`.toLowerCase().includes(searched));
  const shown = fitting.length > 0 ? fitting : catalog;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (searched !== "" && rooms.length > 0) void pull(typed.trim());
  };
  return (
    <div class="what">
      <form onSubmit={submit}>
        <NameField label="Model name" placeholder="phi4:latest, hf.co/user/model" value={typed} onInput={onType} />
      </form>
      {catalog.length > 0 && (
        <h3>
          Catalog
          {rooms.length > 0 && (
            <span class="quiet">{`, pulls to ${whereText(
              rooms.map(({ name }) => name),
              30,
            )}`}</span>
          )}
        </h3>
      )}
      <ul class="catalog" aria-label="Catalog">
        {shown.map((entry) => (
          <CatalogItem key={entry.name} entry={entry} rooms={rooms} onType={onType} pull={pull} />
        ))}
      </ul>
    </div>
  );
}

interface CatalogItemProps extends Pick<CatalogListProps, "rooms" | "onType" | "pull"> {
  readonly entry: CatalogListProps["catalog"][number];
}

function CatalogItem({ entry, rooms, onType, pull }: CatalogItemProps): JSX.Element {
  const { name, description, size } = entry;
  const bytes = bytesIn(size);
  const { fits, words } = verdictOn(bytes, rooms);
  return (
    <li>
      <div class="grow">
        <button type="button" class="plain-name" onClick={() => onType(name)} aria-label={`Choose ${name}`}>
          <Foreign class="strong" text={name} />
        </button>
        <Foreign class="quiet detail wrapped" text={description} />
        {fits !== null && <span class={fits ? "verdict good" : "verdict bad"}>{words}</span>}
      </div>
      <Foreign class="quiet figure" text={size} />
      <button
        type="button"
        class="button"
        aria-label={`Pull ${name}`}
        aria-disabled={rooms.length === 0}
        onClick={() => rooms.length > 0 && void pull(name)}
      >
        Pull
      </button>
    </li>
  );
}
