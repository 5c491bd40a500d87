// The models of the fleet as one list, updated by what changes on single agents.

import { compareTexts } from "../../base/order.ts";
import type { Model } from "../../protocol.ts";
import { type FleetModel, type ModelCopy, mergeCopies, modelCopy, newestOf } from "../fleet_model.ts";
import { SortedItems } from "./sorted_items.ts";

/** One name and digest, and the agents' copies of it. */
interface Merged {
  readonly name: string;
  readonly digest: string;
  readonly copies: SortedItems<MergedCopy>;
  /** As it is in the list; undefined: not there yet. */
  entry: FleetModel | undefined;
}

/** A copy, and where it is: a large fleet has hundreds of thousands, so nothing looks them up. */
export interface MergedCopy extends ModelCopy {
  readonly of: Merged;
}

export class MergedModels {
  /** By name and by digest. */
  readonly #merged = new Map<string, Map<string, Merged>>();
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
   * Replaces the models of one agent.
   * @param before what it returned for the agent's models before; nothing: []
   * @param after unchanged models as the same objects as before
   * @returns `before`, when nothing is different
   */
  replace(
    agent: string,
    before: readonly MergedCopy[],
    after: readonly Model[],
    clockOffsetMs: number,
  ): readonly MergedCopy[] {
    const known = new Map(before.map((copy) => [copy.model, copy]));
    const copies = new Map<Merged, MergedCopy>();
    for (const model of after) {
      const copy = known.get(model);
      const of = copy?.of ?? this.#mergedOf(model);
      const isSame = copy?.clockOffsetMs === clockOffsetMs;
      // A document may name the same twice: the last one counts.
      copies.set(of, isSame ? copy : { ...modelCopy(agent, model, clockOffsetMs), of });
    }
    const gone = before.filter((copy) => copies.get(copy.of) !== copy);
    if (gone.length === 0 && copies.size === before.length) return before;
    for (const copy of gone) this.#drop(copy);
    const kept = new Set(before);
    for (const copy of copies.values()) if (!kept.has(copy)) this.#hold(copy);
    return [...copies.values()];
  }

  #mergedOf({ name, digest }: Model): Merged {
    const named = this.#merged.get(name) ?? new Map<string, Merged>();
    this.#merged.set(name, named);
    const merged = named.get(digest) ?? {
      name,
      digest,
      copies: new SortedItems<MergedCopy>(byAgent),
      entry: undefined,
    };
    named.set(digest, merged);
    return merged;
  }

  #hold(copy: MergedCopy): void {
    copy.of.copies.add(copy);
    this.#changed.add(copy.of);
  }

  #drop(copy: MergedCopy): void {
    copy.of.copies.delete(copy);
    this.#changed.add(copy.of);
  }

  /** All at once when the list is read: thousands of agents may change or go silent between two readings. */
  #renewEntry(merged: Merged): void {
    if (merged.entry !== undefined) this.#sorted.delete(merged.entry);
    merged.entry = undefined;
    const copies = merged.copies.items;
    const newest = newestOf(copies);
    if (newest === undefined) return this.#forget(merged);
    const agents = copies.map(({ agent }) => agent);
    merged.entry = mergeCopies(copies, newest, agents);
    this.#instants.set(merged.entry, newest.instantMs);
    this.#sorted.add(merged.entry);
  }

  #forget({ name, digest }: Merged): void {
    const named = this.#merged.get(name);
    named?.delete(digest);
    if (named?.size === 0) this.#merged.delete(name);
  }
}

function byAgent(a: ModelCopy, b: ModelCopy): number {
  return compareTexts(a.agent, b.agent);
}
