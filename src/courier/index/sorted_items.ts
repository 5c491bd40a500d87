// Items in order, while single ones come and go.
import { firstNotBefore } from "../../base/order.ts";

/** Up to this many items come or go one by one; more cost less as one sort. */
const FEW = 32;
/** Up to this part of a list is replaced item by item. */
const PART = 1 / 16;

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
    if (this.#removed.size <= PART * this.#items.length) this.#replaceSome();
    const changes = this.#added.size + this.#removed.size;
    if (changes > FEW) {
      const kept = this.#items.filter((item) => !this.#removed.has(item));
      this.#items = [...kept, ...this.#added].toSorted(this.#compare);
    } else if (changes > 0) {
      for (const item of this.#removed) this.#remove(item);
      for (const item of this.#added) this.#items.splice(this.#placeOf(item), 0, item);
    }
    this.#added.clear();
    this.#removed.clear();
    return this.#items;
  }

  /** Most changes of a large fleet: one item takes the place of another that compares equal. */
  #replaceSome(): void {
    if (this.#removed.size === 0) return;
    for (const item of this.#added) {
      const place = this.#placeOf(item);
      const before = this.#items[place];
      if (before === undefined || this.#compare(before, item) !== 0 || !this.#removed.delete(before)) continue;
      this.#items[place] = item;
      this.#added.delete(item);
    }
  }

  #remove(item: Item): void {
    const index = this.#items.indexOf(item, this.#placeOf(item));
    if (index >= 0) this.#items.splice(index, 1);
  }

  #placeOf(item: Item): number {
    return firstNotBefore(this.#items, (other) => this.#compare(other, item) < 0);
  }
}
