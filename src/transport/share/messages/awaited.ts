// The commands that one handle has sent and that have no response yet: while there are any, responses are looked for often.
import type { Clock } from "../../../base/clock.ts";

export class Awaited {
  readonly #clock: Clock;
  readonly #ids = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #lastSentAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A command is being sent: its response will come soon. */
  expect(id: string): void {
    this.#ids.add(id);
    this.#lastSentAtMs = this.#clock.monotonic();
    for (const listener of this.#listeners) listener();
  }

  /** The response came, or nobody waits for it any more. */
  settle(id: string): void {
    this.#ids.delete(id);
  }

  /** When the last command was sent, on the monotonic clock; null while no response is awaited. */
  sinceMs(): number | null {
    return this.#ids.size === 0 ? null : this.#lastSentAtMs;
  }

  /** Calls back at each `expect()`. @returns a function that ends it */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
