// The models of the fleet as one list, updated by what changes on single agents.

import { compareTexts } from "../../base/order.ts";
import type { Model } from "../../protocol.ts";
import { type FleetModel, type ModelCopy, mergeCopies, modelCopy, modelKey, newestOf } from "../fleet_model.ts";
import { SortedItems } from "./sorted_items.ts";

/** One name and digest, and the agents that have it. */
interface Merged {
  readonly copies: Map<string, ModelCopy>;
  readonly agents: SortedItems<string>;
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
      const known = this.#merged.get(key)?.copies.get(agent);
      if (known?.model === model && known.clockOffsetMs === clockOffsetMs) continue;
      hasChanged = true;
      this.#hold(key, modelCopy(agent, model, clockOffsetMs));
    }
    for (const key of gone) this.#drop(key, agent);
    return hasChanged || gone.size > 0;
  }

  #hold(key: string, copy: ModelCopy): void {
    const { agent } = copy;
    const merged = this.#merged.get(key) ?? newMerged();
    this.#merged.set(key, merged);
    if (!merged.copies.has(agent)) merged.agents.add(agent);
    merged.copies.set(agent, copy);
    this.#changed.add(merged);
  }

  #drop(key: string, agent: string): void {
    const merged = this.#merged.get(key);
    if (merged === undefined || !merged.copies.delete(agent)) return;
    merged.agents.delete(agent);
    if (merged.copies.size === 0) this.#merged.delete(key);
    this.#changed.add(merged);
  }

  /** All at once when the list is read: thousands of agents may change or go silent between two readings. */
  #renewEntry(merged: Merged): void {
    const { entry, copies, agents } = merged;
    if (entry !== undefined) this.#sorted.delete(entry);
    merged.entry = undefined;
    const newest = newestOf(copies.values());
    if (newest === undefined) return;
    merged.entry = mergeCopies(inOrder(merged), newest, [...agents.items]);
    this.#instants.set(merged.entry, newest.instantMs);
    this.#sorted.add(merged.entry);
  }
}

function newMerged(): Merged {
  return { copies: new Map(), agents: new SortedItems(compareTexts), entry: undefined };
}

/** In order of agents. */
function* inOrder({ agents, copies }: Merged): Generator<ModelCopy> {
  for (const agent of agents.items) {
    const copy = copies.get(agent);
    if (copy !== undefined) yield copy;
  }
}
