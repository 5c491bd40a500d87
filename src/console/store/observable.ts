// Something that changes, and those who want to know.

export class Observable {
  readonly #listeners = new Set<() => void>();
  #isPending = false;

  /** Called soon after a change, once for all changes until then. @returns what ends it */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  protected notify(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    queueMicrotask(() => {
      this.#isPending = false;
      for (const listener of this.#listeners) listener();
    });
  }
}
