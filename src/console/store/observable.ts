// Something that changes, and those who want to know.

export class Observable {
  readonly #listeners = new Set<() => void>();
  #isPending = false;
  #calledMs = Number.NEGATIVE_INFINITY;
  readonly #gatheredMs: number;

  /** @param gatheredMs listeners are called at most so often; a change after a pause is not delayed */
  constructor(gatheredMs = 0) {
    this.#gatheredMs = gatheredMs;
  }

  /** Called soon after a change, once for all changes until then. @returns what ends it */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  protected notify(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    const call = (): void => {
      this.#isPending = false;
      this.#calledMs = performance.now();
      for (const listener of this.#listeners) listener();
    };
    if (this.#gatheredMs === 0) queueMicrotask(call);
    else setTimeout(call, Math.max(0, this.#calledMs + this.#gatheredMs - performance.now()));
  }
}
