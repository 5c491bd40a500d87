// Items in order, while single ones come and go.

/** Up to this many changes are made one by one; more cost less as one sort. */
const FEW = 32;

export class SortedItems<Item> {
  readonly #compare: (a: Item, b: Item) => number;
  #items: Item[] = [];
  readonly #added = new Set<Item>();
  readonly #removed = new Set<Item>();

  constructor(compare: (a: Item, b: Item) => number) {
    this.#compare = compare;
  }

  /** An item that is not in the list. */
  add(item: Item): void {
    if (!this.#removed.delete(item)) this.#added.add(item);
  }

  /** An item of the list, which must still compare as when it was added. */
  delete(item: Item): void {
    if (!this.#added.delete(item)) this.#removed.add(item);
  }

  /** In order. Valid until the next change. */
  get items(): readonly Item[] {
    const changes = this.#added.size + this.#removed.size;
    if (changes > FEW) {
      const kept = this.#items.filter((item) => !this.#removed.has(item));
      this.#items = [...kept, ...this.#added].toSorted(this.#compare);
    } else if (changes > 0) {
      for (const item of this.#removed) this.#remove(item);
      for (const item of this.#added) this.#items.splice(placeIn(this.#items, item, this.#compare), 0, item);
    }
    this.#added.clear();
    this.#removed.clear();
    return this.#items;
  }

  #remove(item: Item): void {
    const from = placeIn(this.#items, item, this.#compare);
    const index = this.#items.indexOf(item, from);
    if (index >= 0) this.#items.splice(index, 1);
  }
}

/** The index of the first item that is not before this one. */
function placeIn<Item>(items: readonly Item[], item: Item, compare: (a: Item, b: Item) => number): number {
  let [from, to] = [0, items.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const at = items[middle];
    if (at !== undefined && compare(at, item) < 0) from = middle + 1;
    else to = middle;
  }
  return from;
}
