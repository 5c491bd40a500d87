// The gate: every call to a network share passes here, so that a server that hangs costs one thread and says so.
// Imports errors and the clock.
import type { Clock } from "../../clock.ts";
import { CourierError } from "../../errors.ts";

/** A call that takes longer closes the gate until it returns. */
const STALLED_AFTER_MS = 2_000;

/**
 * Bounds the calls under way, and fails new ones at once while one of them hangs.
 * A blocked call cannot be taken back: it keeps its thread until the server answers, and its outcome is unknown.
 * @see docs/protocol.md, Watching
 */
export class Gate {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  /** When each call that hangs was begun. */
  readonly #hung = new Set<{ readonly begunAtMs: number }>();
  #underWay = 0;

  /** @param limit calls at a time: fewer than Bun's file pool has threads, or a hung share stops every file call */
  constructor(clock: Clock, limit: number = Math.max(1, poolThreads() - 1)) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /**
   * The call's result.
   * @param late receives the result of a call that was given up on, to undo what it opened
   * @throws CourierError `unavailable` at once while the gate is closed, and when this call closes it
   */
  async run<T>(call: () => Promise<T>, late?: (value: T) => void): Promise<T> {
    this.#requireOpen();
    while (this.#underWay >= this.#limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#requireOpen();
    }
    this.#underWay++;
    const entry = { begunAtMs: this.#clock.monotonic() };
    const ended = new AbortController();
    const result = call().finally(() => {
      this.#underWay--;
      this.#hung.delete(entry);
      ended.abort();
      this.#waiting.shift()?.();
    });
    return await Promise.race([result, this.#watchdog(entry, result, ended.signal, late)]);
  }

  async #watchdog<T>(
    entry: { readonly begunAtMs: number },
    result: Promise<T>,
    ended: AbortSignal,
    late: ((value: T) => void) | undefined,
  ): Promise<T> {
    await this.#clock.sleep(STALLED_AFTER_MS, ended);
    if (ended.aborted) return await result;
    this.#hung.add(entry);
    result.then(late, () => undefined);
    for (const resume of this.#waiting.splice(0)) resume();
    throw this.#stalled();
  }

  #requireOpen(): void {
    if (this.#hung.size > 0) throw this.#stalled();
  }

  #stalled(): CourierError {
    const begun = Math.min(...[...this.#hung].map(({ begunAtMs }) => begunAtMs));
    const seconds = Math.round((this.#clock.monotonic() - begun) / 1000);
    return new CourierError("unavailable", `share stalled for ${seconds} s`, {
      hint: "Its server does not answer; work goes on by itself when it does",
    });
  }
}

function poolThreads(): number {
  return Number(process.env["UV_THREADPOOL_SIZE"]) || navigator.hardwareConcurrency;
}
