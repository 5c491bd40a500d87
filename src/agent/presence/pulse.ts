// Whether all loops of the agent come round: nothing else feeds the service manager's watchdog. Imports nothing.

/** A loop came round when each of its calls and steps returned, well or badly: one that hangs does not. */
export class Pulse<Loop extends string> {
  readonly #loops: readonly Loop[];
  readonly #beat: () => void;
  #awaited: Set<Loop>;

  /** @param beat called each time that all of them came round */
  constructor(loops: readonly Loop[], beat: () => void) {
    this.#loops = loops;
    this.#awaited = new Set(loops);
    this.#beat = beat;
  }

  cameRound(loop: Loop): void {
    this.#awaited.delete(loop);
    if (this.#awaited.size > 0) return;
    this.#awaited = new Set(this.#loops);
    this.#beat();
  }
}
