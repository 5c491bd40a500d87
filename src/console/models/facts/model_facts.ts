// What the views ask of the models of the fleet: where they are, and what a delete frees.
import { rangesText } from "../../../base/order.ts";
import type { ModelsDocument } from "../../../documents/models.ts";

export type FleetModel = ModelsDocument["models"][number];

/** Two boxes may have different models under one name. */
export function keyOf({ name, digest }: Pick<FleetModel, "name" | "digest">): string {
  return `${name} ${digest}`;
}

const searchedTexts = new WeakMap<FleetModel, string>();

/** What the filter looks at. Made once: a model may be on a thousand boxes. */
export function searchedText(model: FleetModel): string {
  const known = searchedTexts.get(model) ?? searchedTextOf(model);
  searchedTexts.set(model, known);
  return known;
}

function searchedTextOf({ name, details, agents }: FleetModel): string {
  const { family = "", parameter_size: parameters = "", quantization_level: level = "" } = details ?? {};
  return [name, family, parameters, level, ...agents].join(" ").toLowerCase();
}

/** `gpu-[1-12]`, as far as a few words can say it. */
export function whereText(agents: readonly string[], most = 40): string {
  const [first = "", ...others] = rangesText(agents).split(", ");
  let text = first;
  let shown = 1;
  for (const next of others) {
    if (text.length + next.length > most) break;
    text += `, ${next}`;
    shown += 1;
  }
  return shown === others.length + 1 ? text : `${text}, …`;
}

interface Freed {
  readonly bytes: number;
  /** Names that stay on the box and need the same data. */
  readonly keptBy: readonly string[];
}

/** What deleting models from a box frees at most: layers that other models share stay too, and nobody here knows them. */
export function freedOn(agent: string, deleted: readonly FleetModel[], all: readonly FleetModel[]): Freed {
  const gone = new Map(deleted.filter(({ agents }) => agents.includes(agent)).map((model) => [model.digest, model]));
  const names = new Set(deleted.map(keyOf));
  const kept = all.filter(
    (model) => gone.has(model.digest) && model.agents.includes(agent) && !names.has(keyOf(model)),
  );
  for (const { digest } of kept) gone.delete(digest);
  const bytes = [...gone.values()].reduce((sum, { size }) => sum + size, 0);
  return { bytes, keptBy: kept.map(({ name }) => name) };
}
