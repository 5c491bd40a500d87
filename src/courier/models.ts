// Merging what several agents hold into one list. Imports protocol and the fleet's views.
import type { Code, Model } from "../protocol.ts";

/** A model of the fleet: one entry per name and digest, with the agents that hold it. */
export interface FleetModel extends Model {
  readonly agents: readonly string[];
}

/** An agent that could not be asked. */
export interface Unavailable {
  readonly agent: string;
  readonly code: Code;
  readonly reason: string;
}

export interface FleetModels {
  readonly models: readonly FleetModel[];
  readonly unavailable: readonly Unavailable[];
}

export interface AgentModels {
  readonly agent: string;
  readonly models: readonly Model[];
}

/** One entry per name and digest, newest first; `modified_at` is the newest of the boxes'. */
export function mergeModels(held: readonly AgentModels[]): FleetModel[] {
  const merged = new Map<string, FleetModel>();
  for (const { agent, models } of held) {
    for (const model of models) {
      const key = `${model.name}\0${model.digest}`;
      const known = merged.get(key);
      const newest = known !== undefined && byNewest(known, model) < 0 ? known : model;
      merged.set(key, { ...onlyModel(newest), agents: [...(known?.agents ?? []), agent] });
    }
  }
  return [...merged.values()].toSorted(byNewest);
}

/** One entry per name, the newest: what the platform's own routes show. */
export function newestPerName(models: readonly Model[]): Model[] {
  const newest = new Map<string, Model>();
  for (const model of models.toSorted(byNewest)) if (!newest.has(model.name)) newest.set(model.name, onlyModel(model));
  return [...newest.values()];
}

function onlyModel({ name, size, modified_at, digest }: Model): Model {
  return { name, size, modified_at, digest };
}

/** Ollama writes nanoseconds and zones, so instants are compared, not texts. */
function byNewest(a: Model, b: Model): number {
  return instant(b.modified_at) - instant(a.modified_at) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function instant(text: string): number {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? 0 : ms;
}
