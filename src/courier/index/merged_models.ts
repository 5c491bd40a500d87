// The models of the fleet as one list, updated by what changes on single agents.
import type { Model } from "../../protocol.ts";
import { type FleetModel, instantOf } from "../models.ts";
import { compareTexts, placeIn, SortedItems } from "./sorted_items.ts";

/** A model as one agent has it. */
interface Held {
  readonly agent: string;
  readonly model: Model;
  readonly clockOffsetMs: number;
  readonly instantMs: number;
}

/** One name and digest, and the agents that have it. */
interface Merged {
  readonly holders: Map<string, Held>;
  /** In order of names. */
  readonly agents: string[];
  /** The copy that was modified last: the entry has its details. */
  newest: Held;
  /** As it is in the list; undefined: not there yet. */
  entry: FleetModel | undefined;
}

export class MergedModels {
  readonly #merged = new Map<string, Merged>();
  readonly #changed = new Set<Merged>();
  /** When each entry was modified, on the transport's clock: its text is parsed once. */
  readonly #instants = new WeakMap<FleetModel, number>();
  readonly #sorted = new SortedItems<FleetModel>((a, b) => {
    const byAge = (this.#instants.get(b) ?? 0) - (this.#instants.get(a) ?? 0);
    return byAge || compareTexts(a.name, b.name) || compareTexts(a.digest, b.digest);
  });

  /** The newest first. One entry per name and digest, which is another object after a change. */
  get items(): readonly FleetModel[] {
    for (const merged of this.#changed) this.#renewEntry(merged);
    this.#changed.clear();
    return this.#sorted.items;
  }

  /**
   * @param after unchanged models as the same objects as before
   * @returns whether anything is different
   */
  replace(agent: string, before: readonly Model[], after: readonly Model[], clockOffsetMs: number): boolean {
    let hasChanged = false;
    const gone = new Set(before.map(keyOf));
    for (const model of after) {
      const key = keyOf(model);
      gone.delete(key);
      const known = this.#merged.get(key)?.holders.get(agent);
      if (known?.model === model && known.clockOffsetMs === clockOffsetMs) continue;
      hasChanged = true;
      this.#hold(key, { agent, model, clockOffsetMs, instantMs: instantOf({ ...model, clockOffsetMs }) });
    }
    for (const key of gone) this.#drop(key, agent);
    return hasChanged || gone.size > 0;
  }

  #hold(key: string, held: Held): void {
    const { agent } = held;
    const merged = this.#merged.get(key) ?? { holders: new Map(), agents: [], newest: held, entry: undefined };
    this.#merged.set(key, merged);
    if (!merged.holders.has(agent)) merged.agents.splice(placeIn(merged.agents, agent, compareTexts), 0, agent);
    merged.holders.set(agent, held);
    if (merged.newest.agent === agent) merged.newest = newestOf(merged.holders, held);
    else if (isNewer(held, merged.newest)) merged.newest = held;
    this.#changed.add(merged);
  }

  #drop(key: string, agent: string): void {
    const merged = this.#merged.get(key);
    if (merged === undefined || !merged.holders.delete(agent)) return;
    merged.agents.splice(placeIn(merged.agents, agent, compareTexts), 1);
    const [other] = merged.holders.values();
    if (other === undefined) this.#merged.delete(key);
    else if (merged.newest.agent === agent) merged.newest = newestOf(merged.holders, other);
    this.#changed.add(merged);
  }

  #renewEntry(merged: Merged): void {
    const { entry, holders, agents, newest } = merged;
    if (entry !== undefined) this.#sorted.delete(entry);
    merged.entry = undefined;
    if (holders.size === 0) return;
    merged.entry = { ...newest.model, clockOffsetMs: newest.clockOffsetMs, agents: [...agents] };
    this.#instants.set(merged.entry, newest.instantMs);
    this.#sorted.add(merged.entry);
  }
}

function newestOf(holders: ReadonlyMap<string, Held>, first: Held): Held {
  let newest = first;
  for (const held of holders.values()) if (isNewer(held, newest)) newest = held;
  return newest;
}

/** Of two copies of the same age the one of the last agent, as in `mergeModels`. */
function isNewer(a: Held, b: Held): boolean {
  return a.instantMs > b.instantMs || (a.instantMs === b.instantMs && a.agent > b.agent);
}

function keyOf({ name, digest }: Model): string {
  return `${name}\0${digest}`;
}
