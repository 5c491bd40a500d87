// The commands that a listener of the memory transport has no room for: they are offered again, in their order.
import type { Clock } from "../base/clock.ts";
import type { Delivery, Listener } from "../transport.ts";

const AGAIN_MS = 250;

export interface WaitingRoomDeps {
  readonly listener: Listener;
  /** Whether the command has not been removed or replaced. */
  readonly isThere: (delivery: Delivery) => boolean;
  readonly clock: Pick<Clock, "sleep">;
}

export class WaitingRoom {
  readonly #deps: WaitingRoomDeps;
  readonly #closed = new AbortController();
  #waiting: Delivery[] = [];

  constructor(deps: WaitingRoomDeps) {
    this.#deps = deps;
  }

  /** Delivers it now, or when there is room for it. */
  offer(delivery: Delivery): void {
    const { listener } = this.#deps;
    if (this.#waiting.length === 0 && listener.hasRoom?.() !== false) return listener.deliver(delivery);
    this.#waiting.push(delivery);
    listener.waiting?.(this.#waiting.length);
    if (this.#waiting.length === 1) void this.#offerAgain();
  }

  close(): void {
    this.#closed.abort();
  }

  async #offerAgain(): Promise<void> {
    const { listener, isThere, clock } = this.#deps;
    const { signal } = this.#closed;
    while (this.#waiting.length > 0) {
      await clock.sleep(AGAIN_MS, signal);
      if (signal.aborted) return;
      const before = this.#waiting.filter(isThere);
      this.#waiting = [];
      for (const delivery of before) {
        if (listener.hasRoom?.() === false) this.#waiting.push(delivery);
        else listener.deliver(delivery);
      }
      listener.waiting?.(this.#waiting.length);
    }
  }
}
