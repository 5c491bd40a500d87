// Fresh listings that many share: of thousands of questions at once not each costs a listing. Imports nothing.

export class SharedListings {
  readonly #list: (path: string) => Promise<ReadonlySet<string>>;
  /** By path: the listing that has begun last, and the one that comes after it. */
  readonly #begun = new Map<string, Promise<unknown>>();
  readonly #next = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(list: (path: string) => Promise<ReadonlySet<string>>) {
    this.#list = list;
  }

  /** A listing that begins after this call, as one under way may have gone past what is asked for; all who ask meanwhile share it. */
  async read(path: string): Promise<ReadonlySet<string>> {
    const waiting = this.#next.get(path);
    if (waiting !== undefined) return await waiting;
    const next = this.#afterThatOf(path);
    this.#next.set(path, next);
    return await next;
  }

  async #afterThatOf(path: string): Promise<ReadonlySet<string>> {
    // At least one turn, so that those who ask at the same time share it; how the one before it ended is not our matter.
    await this.#begun.get(path)?.catch(() => undefined);
    await Promise.resolve();
    this.#next.delete(path);
    const listing = this.#list(path);
    this.#begun.set(path, listing);
    try {
      return await listing;
    } finally {
      if (this.#begun.get(path) === listing) this.#begun.delete(path);
    }
  }
}
