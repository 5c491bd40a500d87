// The boxes that can pull, with their free disk and whether the model fits there.
import type { JSX } from "preact";
import { formatBytes } from "../../../base/format.ts";
import type { AgentDocument } from "../../../documents/agents.ts";
import type { JobDocument } from "../../../documents/jobs.ts";
import type { FitDocument } from "../../../documents/models/fit.ts";
import type { BoxChoice } from "../../parts/box_picker.tsx";
import type { FleetModel } from "../facts/model_facts.ts";
import { bytesIn, refusalOf, roomOn, verdictOf } from "../facts/room.ts";
import type { ModelFit } from "../facts/use_fit.ts";
import { FitWords } from "./fit_words.tsx";

interface Sized {
  readonly name: string;
  readonly size: string;
}

export interface RoomChoice extends BoxChoice {
  /** Null: unknown. */
  readonly room: number | null;
}

type Sizes = ReadonlyMap<string, number>;

/** By name: as the registry, the fleet or the catalog says. */
export function knownSizes(catalog: readonly Sized[], models: readonly FleetModel[], { document }: ModelFit): Sizes {
  const listed = catalog.flatMap(({ name, size }) => {
    const bytes = bytesIn(size);
    return bytes === null ? [] : [[name, bytes] as const];
  });
  const installed = models.map(({ name, size }) => [name, size] as const);
  const published = document === undefined || document.size === null ? [] : [[document.name, document.size] as const];
  return new Map([...listed, ...installed, ...published]);
}

export interface Choosing {
  readonly boxes: readonly AgentDocument[];
  readonly jobs: readonly JobDocument[];
  readonly models: readonly FleetModel[];
  readonly wanted: readonly string[];
  readonly sizes: Sizes;
  readonly fit: ModelFit;
}

/** The models that a box has already need no room there. */
export function boxChoices({ boxes, jobs, models, wanted, sizes, fit }: Choosing): readonly RoomChoice[] {
  const names = wanted.map((name) => (/:[^/]*$/.test(name) ? name : `${name}:latest`));
  const holders = new Map(names.map((name) => [name, holdersOf(name, models)]));
  const fits = new Map(fit.document?.agents.map((each) => [each.agent, each]));
  return boxes.map((box) => {
    const room = roomOn(box, jobs);
    const missing = names.filter((name) => holders.get(name)?.has(box.agent) !== true);
    const known = missing.map((name) => sizes.get(name));
    const bytes = known.includes(undefined) ? null : known.reduce<number>((sum, size) => sum + (size ?? 0), 0);
    const hasAll = names.length > 0 && missing.length === 0;
    return {
      name: box.agent,
      room,
      refusal: refusalOf(box),
      words: <Words room={room} bytes={names.length === 0 ? null : bytes} hasAll={hasAll} fit={fits.get(box.agent)} />,
    };
  });
}

/** The box with the most room. */
export function roomiest(choices: readonly RoomChoice[]): string | undefined {
  const possible = choices.filter(({ refusal }) => refusal === undefined);
  return possible.toSorted((a, b) => (b.room ?? -1) - (a.room ?? -1))[0]?.name;
}

function holdersOf(name: string, models: readonly FleetModel[]): ReadonlySet<string> {
  return new Set(models.filter((model) => model.name === name).flatMap(({ agents }) => agents));
}

interface WordsProps {
  readonly room: number | null;
  readonly bytes: number | null;
  readonly hasAll: boolean;
  readonly fit: FitDocument | undefined;
}

function Words({ room, bytes, hasAll, fit }: WordsProps): JSX.Element {
  if (hasAll) return <span class="quiet">has it already</span>;
  const { fits, words } = verdictOf(bytes, room);
  return (
    <>
      <span class="quiet">{room === null ? "free disk unknown" : `${formatBytes(room)} free`}</span>
      {fits !== null && <span class={fits ? "verdict good" : "verdict bad"}>{words}</span>}
      <FitWords fit={fit} />
    </>
  );
}
