// The gate: every call to a network share passes here, so that a server that hangs costs one thread and says so.
// Imports errors and the clock.
import type { Clock } from "../../clock.ts";
import { CourierError } from "../../errors.ts";

/** A call that takes longer closes the gate until it returns. */
const STALLED_AFTER_MS = 2_000;

export interface CallOptions<T> {
  /** How long this call may take before it closes the gate. */
  readonly patienceMs?: number | undefined;
  /** Receives the result of a call that was given up on, to undo what it opened. */
  readonly late?: (value: T) => void;
}

/**
 * Bounds the calls under way, and fails new ones at once while one of them hangs.
 * A blocked call cannot be taken back: it keeps its thread until the server answers, and its outcome is unknown.
 * @see docs/protocol.md, Watching
 */
export class Gate {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  readonly #awaitingOpen: (() => void)[] = [];
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
   * @throws CourierError `unavailable` at once while the gate is closed, and when this call closes it
   */
  async run<T>(call: () => Promise<T>, options: CallOptions<T> = {}): Promise<T> {
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
      if (this.#hung.delete(entry) && this.#hung.size === 0) this.#tellOpen();
      ended.abort();
      this.#waiting.shift()?.();
    });
    return await Promise.race([result, this.#watchdog(entry, result, ended.signal, options)]);
  }

  /** Resolves once no call hangs: at once while the gate is open. */
  async opened(): Promise<void> {
    if (this.#hung.size > 0) await new Promise<void>((resolve) => this.#awaitingOpen.push(resolve));
  }

  async #watchdog<T>(
    entry: { readonly begunAtMs: number },
    result: Promise<T>,
    ended: AbortSignal,
    { patienceMs = STALLED_AFTER_MS, late }: CallOptions<T>,
  ): Promise<T> {
    await this.#clock.sleep(patienceMs, ended);
    if (ended.aborted) return await result;
    this.#hung.add(entry);
    result.then(late, () => undefined);
    for (const resume of this.#waiting.splice(0)) resume();
    throw this.#stalled();
  }

  #requireOpen(): void {
    if (this.#hung.size > 0) throw this.#stalled();
  }

  #tellOpen(): void {
    for (const resolve of this.#awaitingOpen.splice(0)) resolve();
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
