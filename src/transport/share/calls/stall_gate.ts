// The gate for every call to a network share: a server that hangs costs one thread, and other calls fail at once.
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";

/** A call that takes longer than this closes the gate until it returns. */
const STALLED_AFTER_MS = 2_000;

export interface CallOptions<T> {
  /** How long this call may take before it closes the gate, if longer than other calls. */
  readonly stalledAfterMs?: number | undefined;
  /** Receives the late result of an abandoned call, to close what it opened. */
  readonly late?: (value: T) => void;
}

interface Entry {
  readonly begunAtMs: number;
  readonly dueAtMs: number;
  readonly giveUp: (error: CourierError) => void;
  isGivenUp: boolean;
}

/**
 * Bounds the calls under way, and fails new ones at once while one of them hangs.
 * A blocked call cannot be cancelled: it keeps its thread until the server responds, and its outcome is unknown.
 * @see docs/protocol.md, Watching
 */
export class Gate {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  readonly #awaitingOpen: (() => void)[] = [];
  readonly #underWay = new Set<Entry>();
  readonly #hung = new Set<Entry>();
  #isWatching = false;

  /** @param limit calls at a time: fewer than Bun's file pool has threads, or a hung share stops every file call */
  constructor(clock: Clock, limit: number = callsAtATime("transport")) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /**
   * The call's result.
   * @throws CourierError `unavailable` at once while the gate is closed, and when this call closes it
   */
  async run<T>(call: () => Promise<T>, { stalledAfterMs = STALLED_AFTER_MS, late }: CallOptions<T> = {}): Promise<T> {
    this.#requireOpen();
    while (this.#underWay.size >= this.#limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#requireOpen();
    }
    return await new Promise<T>((resolve, giveUp) => {
      const begunAtMs = this.#clock.monotonic();
      const entry = { begunAtMs, dueAtMs: begunAtMs + stalledAfterMs, giveUp, isGivenUp: false };
      this.#underWay.add(entry);
      if (!this.#isWatching) void this.#watch();
      call()
        .finally(() => this.#ended(entry))
        .then((value) => (entry.isGivenUp ? late?.(value) : resolve(value)), giveUp);
    });
  }

  /** Resolves once no call hangs: at once while the gate is open. */
  async opened(): Promise<void> {
    if (this.#hung.size > 0) await new Promise<void>((resolve) => this.#awaitingOpen.push(resolve));
  }

  #ended(entry: Entry): void {
    this.#underWay.delete(entry);
    if (this.#hung.delete(entry) && this.#hung.size === 0) {
      for (const resolve of this.#awaitingOpen.splice(0)) resolve();
    }
    this.#waiting.shift()?.();
  }

  /** One timer for all calls: on a share that is listed every 50 ms, a timer each cost more than the calls. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#underWay.size > this.#hung.size) {
      const dueAtMs = Math.min(
        ...[...this.#underWay].filter((entry) => !entry.isGivenUp).map((entry) => entry.dueAtMs),
      );
      // No longer than the default: a call that begins meanwhile may be due before these.
      await this.#clock.sleep(Math.min(dueAtMs - this.#clock.monotonic(), STALLED_AFTER_MS));
      for (const entry of this.#underWay) this.#giveUpWhenDue(entry);
      // One that hangs proves that waiting longer for the others is useless.
      if (this.#hung.size > 0) for (const entry of this.#underWay) this.#giveUpWhenDue(entry);
    }
    this.#isWatching = false;
  }

  #giveUpWhenDue(entry: Entry): void {
    const dueAtMs = this.#hung.size > 0 ? entry.begunAtMs + STALLED_AFTER_MS : entry.dueAtMs;
    if (entry.isGivenUp || this.#clock.monotonic() < dueAtMs) return;
    entry.isGivenUp = true;
    this.#hung.add(entry);
    for (const resume of this.#waiting.splice(0)) resume();
    entry.giveUp(this.#stalled());
  }

  #requireOpen(): void {
    if (this.#hung.size > 0) throw this.#stalled();
  }

  #stalled(): CourierError {
    const begun = Math.min(...[...this.#hung].map(({ begunAtMs }) => begunAtMs));
    const seconds = Math.round((this.#clock.monotonic() - begun) / 1000);
    return new CourierError("unavailable", `share stalled for ${seconds} s`, {
      hint: "Its server does not respond; work continues by itself when it does",
    });
  }
}

/** How many calls each may have under way, so that a thread is left when both hang: of 16 threads 11 and 4. */
export function callsAtATime(of: "transport" | "mirror", threads = poolThreads()): number {
  const mirror = Math.max(1, Math.floor(threads / 4));
  return of === "mirror" ? mirror : Math.max(1, threads - mirror - 1);
}

function poolThreads(): number {
  return Number(process.env["UV_THREADPOOL_SIZE"]) || navigator.hardwareConcurrency;
}
