// The models of the fleet as one list, updated by what changes on single agents.
import type { Model } from "../../protocol.ts";
import { type FleetModel, isNewer, type ModelCopy, mergeCopies, modelCopy, modelKey } from "../fleet_model.ts";
import { compareTexts, placeIn, SortedItems } from "./sorted_items.ts";

/** One name and digest, and the agents that have it. */
interface Merged {
  readonly holders: Map<string, ModelCopy>;
  /** In order of names. */
  readonly agents: string[];
  /** The copy that was modified last: the entry has its details. */
  newest: ModelCopy;
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
    const gone = new Set(before.map(modelKey));
    for (const model of after) {
      const key = modelKey(model);
      gone.delete(key);
      const known = this.#merged.get(key)?.holders.get(agent);
      if (known?.model === model && known.clockOffsetMs === clockOffsetMs) continue;
      hasChanged = true;
      this.#hold(key, modelCopy(agent, model, clockOffsetMs));
    }
    for (const key of gone) this.#drop(key, agent);
    return hasChanged || gone.size > 0;
  }

  #hold(key: string, held: ModelCopy): void {
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
    merged.entry = mergeCopies(inOrder(merged), newest, [...agents]);
    this.#instants.set(merged.entry, newest.instantMs);
    this.#sorted.add(merged.entry);
  }
}

function newestOf(holders: ReadonlyMap<string, ModelCopy>, first: ModelCopy): ModelCopy {
  let newest = first;
  for (const held of holders.values()) if (isNewer(held, newest)) newest = held;
  return newest;
}

/** In order of agents. */
function* inOrder({ agents, holders }: Merged): Generator<ModelCopy> {
  for (const agent of agents) {
    const copy = holders.get(agent);
    if (copy !== undefined) yield copy;
  }
}
