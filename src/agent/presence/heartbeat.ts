// Feeds the service manager's watchdog while all loops of the agent complete their passes.

/** A pass is complete when each of its calls returned or failed; a call that hangs holds the heartbeat up. */
export class Heartbeat<Loop extends string> {
  readonly #loops: readonly Loop[];
  readonly #service: { alive(): void };
  #awaited: Set<Loop>;

  /** @param service its `alive()` is called each time that all loops have completed a pass */
  constructor(loops: readonly Loop[], service: { alive(): void }) {
    this.#loops = loops;
    this.#service = service;
    this.#awaited = new Set(loops);
  }

  passed(loop: Loop): void {
    this.#awaited.delete(loop);
    if (this.#awaited.size > 0) return;
    this.#awaited = new Set(this.#loops);
    this.#service.alive();
  }
}
