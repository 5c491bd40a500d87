// Merges the models of several agents into one list.
import type { Model } from "../protocol.ts";
import type { Unavailable } from "./unavailable.ts";

/** A model of the fleet: one entry per name and digest, with the agents that have it. */
export interface FleetModel extends Model {
  readonly agents: readonly string[];
  /** The transport's clock minus the clock that `modified_at` is from. */
  readonly clockOffsetMs: number;
}

export interface FleetModels {
  readonly models: readonly FleetModel[];
  readonly unavailable: readonly Unavailable[];
}

export interface AgentModels {
  readonly agent: string;
  readonly models: readonly Model[];
  /** The transport's clock minus the agent's machine's, where it is known. */
  readonly clockOffsetMs?: number | undefined;
}

/** One entry per name and digest, newest first. `modified_at` is the latest one, corrected for the machines' clocks. */
export function mergeModels(held: readonly AgentModels[]): FleetModel[] {
  const merged = new Map<string, FleetModel>();
  for (const { agent, models, clockOffsetMs = 0 } of held) {
    for (const model of models) {
      const key = `${model.name}\0${model.digest}`;
      const known = merged.get(key);
      const own = { ...model, clockOffsetMs };
      const newest = known !== undefined && byNewest(known, own) < 0 ? known : own;
      // Some agents are older and do not send the details of what is the same model everywhere.
      const details = newest.details ?? own.details ?? known?.details;
      const capabilities = newest.capabilities ?? own.capabilities ?? known?.capabilities;
      merged.set(key, { ...newest, details, capabilities, agents: [...(known?.agents ?? []), agent] });
    }
  }
  return [...merged.values()].toSorted(byNewest);
}

/** One entry per name, the newest, for the platform's own routes. */
export function newestPerName(models: readonly Model[]): Model[] {
  const newest = new Map<string, Model>();
  for (const model of models.toSorted(byNewest))
    if (!newest.has(model.name)) newest.set(model.name, platformModel(model));
  return [...newest.values()];
}

/** The four fields that the platform knows. */
function platformModel({ name, size, modified_at, digest }: Model): Model {
  return { name, size, modified_at, digest };
}

type Dated = Model & { readonly clockOffsetMs?: number };

/** Ollama writes nanoseconds and time zones, so the times are compared, not their texts. */
function byNewest(a: Dated, b: Dated): number {
  return instantOf(b) - instantOf(a) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function instantOf({ modified_at, clockOffsetMs = 0 }: Dated): number {
  const ms = Date.parse(modified_at);
  return Number.isNaN(ms) ? 0 : ms + clockOffsetMs;
}
