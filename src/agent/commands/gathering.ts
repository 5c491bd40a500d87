// Gathers changing commands until every inbox has been listed, so that they begin in the order in which they were sent.
import type { Clock } from "../../base/clock.ts";
import type { Delivery } from "../../transport.ts";

interface Gathered {
  readonly delivery: Delivery;
  readonly begin: () => void;
}

/** An inbox that cannot be listed does not hold up the others for longer. */
const LIMIT_MS = 10_000;

export class Gathering {
  readonly #clock: Clock;
  readonly #awaited = new Set<string>();
  #gathered: Gathered[] = [];
  #limit = new AbortController();
  #isStopped = false;

  /** @param awaited the first reason to wait */
  constructor(clock: Clock, awaited?: string) {
    this.#clock = clock;
    if (awaited !== undefined) this.#awaited.add(awaited);
  }

  /** From now on changing commands wait for this, too. */
  wait(reason: string): void {
    this.#awaited.add(reason);
  }

  /** Ends the wait for this reason. */
  done(reason: string): void {
    this.#awaited.delete(reason);
    if (this.#awaited.size === 0) this.#beginAll();
  }

  /** Begins it now, or in its turn once nothing is awaited, at most 10 s later. */
  add(delivery: Delivery, begin: () => void): void {
    if (this.#isStopped) return;
    if (this.#awaited.size === 0) return begin();
    this.#gathered.push({ delivery, begin });
    if (this.#gathered.length === 1) void this.#beginAtLimit();
  }

  /** Begins nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#gathered = [];
    this.#limit.abort();
  }

  async #beginAtLimit(): Promise<void> {
    const { signal } = (this.#limit = new AbortController());
    await this.#clock.sleep(LIMIT_MS, signal);
    if (signal.aborted) return;
    this.#awaited.clear();
    this.#beginAll();
  }

  #beginAll(): void {
    this.#limit.abort();
    const inOrder = this.#gathered.toSorted(({ delivery: a }, { delivery: b }) => {
      return a.sentAtMs - b.sentAtMs || (a.id < b.id ? -1 : 1);
    });
    this.#gathered = [];
    for (const { begin } of inOrder) begin();
  }
}
