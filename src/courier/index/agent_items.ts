// Items of many agents as one list in order: their running models, their jobs, and what a list lacks.
import { SortedItems } from "./sorted_items.ts";

export class AgentItems<Item extends object> {
  readonly #byAgent = new Map<string, readonly Item[]>();
  readonly #sorted: SortedItems<Item>;

  constructor(compare: (a: Item, b: Item) => number) {
    this.#sorted = new SortedItems(compare);
  }

  get items(): readonly Item[] {
    return this.#sorted.items;
  }

  of(agent: string): readonly Item[] {
    return this.#byAgent.get(agent) ?? [];
  }

  /** @returns whether anything is different; unchanged items must be the same objects as before */
  replace(agent: string, after: readonly Item[]): boolean {
    const before = this.of(agent);
    if (before.length === after.length && before.every((item, index) => item === after[index])) return false;
    if (after.length === 0) this.#byAgent.delete(agent);
    else this.#byAgent.set(agent, after);
    // A document may name the same twice: in the list it is once.
    const [old, now] = [setOf(before), setOf(after)];
    for (const item of old) if (!now.has(item)) this.#sorted.delete(item);
    for (const item of now) if (!old.has(item)) this.#sorted.add(item);
    return true;
  }
}

const NOTHING: ReadonlySet<never> = new Set();

/** At the start of a large fleet most lists are empty. */
function setOf<Item>(items: readonly Item[]): ReadonlySet<Item> {
  return items.length === 0 ? NOTHING : new Set(items);
}

/** The items with those that are equal to an earlier one replaced by it. */
export function reuse<Item extends object>(
  before: readonly Item[],
  after: readonly Item[],
  keyOf: (item: Item) => string,
): readonly Item[] {
  if (before.length === 0) return after;
  const known = new Map(before.map((item) => [keyOf(item), item]));
  return after.map((item) => {
    const earlier = known.get(keyOf(item));
    return earlier !== undefined && Bun.deepEquals(earlier, item) ? earlier : item;
  });
}
