// Entries of lists as JSON, written once per entry: an entry of the index is another object after each change.
export class Fragments<Item extends object> {
  readonly #written = new WeakMap<Item, string>();
  readonly #documentOf: (item: Item) => object;

  constructor(documentOf: (item: Item) => object) {
    this.#documentOf = documentOf;
  }

  of(item: Item): string {
    const known = this.#written.get(item);
    if (known !== undefined) return known;
    const text = JSON.stringify(this.#documentOf(item));
    this.#written.set(item, text);
    return text;
  }
}
