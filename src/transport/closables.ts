// The subscriptions that one handle has open, so that closing the handle ends them.
import type { Closable } from "../transport.ts";

export class Closables {
  readonly #open = new Set<Closable>();

  /** @param end called once, by whichever comes first: the closable's own `close()` or the handle's */
  add(end: () => Promise<void>): Closable {
    const closable: Closable = {
      close: async () => {
        if (this.#open.delete(closable)) await end();
      },
    };
    this.#open.add(closable);
    return closable;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map(async (closable) => await closable.close()));
  }
}
