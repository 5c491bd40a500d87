// One model of the fleet, merged from its copies on several agents.
import { instantMs } from "../base/clock.ts";
import type { Model } from "../protocol.ts";

/** A model of the fleet: one entry per name and digest, with the agents that have it. */
export interface FleetModel extends Model {
  readonly agents: readonly string[];
  /** The transport's clock minus the clock that `modified_at` is from. */
  readonly clockOffsetMs: number;
}

/** A copy of a model on one agent. */
export interface ModelCopy {
  readonly agent: string;
  readonly model: Model;
  readonly clockOffsetMs: number;
  /** When it was last modified, on the transport's clock. */
  readonly instantMs: number;
}

/** The same for each copy of a model. */
export function modelKey({ name, digest }: Model): string {
  return `${name}\0${digest}`;
}

export function modelCopy(agent: string, model: Model, clockOffsetMs: number): ModelCopy {
  return { agent, model, clockOffsetMs, instantMs: instantMs(model.modified_at) + clockOffsetMs };
}

/** @param newest from which the entry takes what differs */
export function mergeCopies(copies: Iterable<ModelCopy>, newest: ModelCopy, agents: readonly string[]): FleetModel {
  const { model, clockOffsetMs } = newest;
  const merged = { ...model, clockOffsetMs, agents };
  if (model.details !== undefined && model.capabilities !== undefined) return merged;
  // Some agents are older and do not send the details of what is the same model everywhere.
  const all = [...copies].map((copy) => copy.model);
  const details = model.details ?? all.find((each) => each.details !== undefined)?.details;
  const capabilities = model.capabilities ?? all.find((each) => each.capabilities !== undefined)?.capabilities;
  return { ...merged, details, capabilities };
}

/** The copy that was modified last; undefined when there is no copy. */
export function newestOf(copies: Iterable<ModelCopy>): ModelCopy | undefined {
  let newest: ModelCopy | undefined;
  for (const copy of copies) if (newest === undefined || isNewer(copy, newest)) newest = copy;
  return newest;
}

/** Of two copies of the same age the one of the last agent. */
function isNewer(a: ModelCopy, b: ModelCopy): boolean {
  return a.instantMs > b.instantMs || (a.instantMs === b.instantMs && a.agent > b.agent);
}
