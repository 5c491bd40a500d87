// Deliveries that ended without an answer, because the share denied something for long, or looked as if they were gone: they
// are taken up again while they are still there.
import type { Clock } from "../../base/clock.ts";
import type { Delivery, Transport } from "../../transport.ts";

/** The subscription that delivered a command. */
export interface Subscribed {
  /** When it began, on the transport's clock. */
  readonly sinceMs: number;
  /** Aborts when it is closed. */
  readonly closed: AbortSignal;
}

export interface UnansweredDeps {
  readonly transport: Pick<Transport, "isUnchanged">;
  readonly takeAgain: (delivery: Delivery, subscribed: Subscribed) => void;
  readonly clock: Clock;
}

interface Kept {
  readonly delivery: Delivery;
  readonly subscribed: Subscribed;
  readonly pauseMs: number;
  /** On the monotonic clock. */
  readonly dueAtMs: number;
}

const AGAIN_MS = 60_000;
/** One that is not there is looked for after ever longer pauses: most were withdrawn, but a folder may have been away. */
const LAST_PAUSE_MS = 32 * AGAIN_MS;
/** The oldest are forgotten: the next start finds them. */
const KEPT = 1_000;

export class Unanswered {
  readonly #deps: UnansweredDeps;
  readonly #kept = new Map<string, Kept>();
  readonly #stopping = new AbortController();
  #isLooking = false;

  constructor(deps: UnansweredDeps) {
    this.#deps = deps;
  }

  /** Keeps one from now on, until it is taken again. */
  keep(delivery: Delivery, subscribed: Subscribed): void {
    if (this.#stopping.signal.aborted) return;
    this.#put(delivery, subscribed, AGAIN_MS);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
    }
    if (!this.#isLooking) void this.#lookRepeatedly();
  }

  /** One that is in hand is not kept any more. */
  forget(key: string): void {
    this.#kept.delete(key);
  }

  /** Nothing is taken again after it. */
  stop(): void {
    this.#stopping.abort();
    this.#kept.clear();
  }

  #put(delivery: Delivery, subscribed: Subscribed, pauseMs: number): void {
    const dueAtMs = this.#deps.clock.monotonic() + pauseMs;
    this.#kept.set(delivery.key, { delivery, subscribed, pauseMs, dueAtMs });
  }

  /** Never rejects: one that cannot be looked at now is looked at in the next round. */
  async #lookRepeatedly(): Promise<void> {
    const { clock } = this.#deps;
    this.#isLooking = true;
    while (this.#kept.size > 0) {
      const dueAtMs = Math.min(...[...this.#kept.values()].map((kept) => kept.dueAtMs));
      await clock.sleep(Math.max(0, dueAtMs - clock.monotonic()), this.#stopping.signal);
      const due = [...this.#kept.values()].filter((kept) => kept.dueAtMs <= clock.monotonic());
      for (const kept of due) await this.#look(kept);
    }
    this.#isLooking = false;
  }

  async #look({ delivery, subscribed, pauseMs }: Kept): Promise<void> {
    this.#kept.delete(delivery.key);
    // Delivered again when the agent listens to its own inbox again. In the shared inbox it may be claimed by this agent.
    if (delivery.inbox !== "shared" && subscribed.closed.aborted) return;
    const isThere = await this.#deps.transport.isUnchanged(delivery).catch(() => null);
    if (this.#stopping.signal.aborted) return;
    if (isThere === true) this.#deps.takeAgain(delivery, subscribed);
    else if (isThere === null) this.#put(delivery, subscribed, AGAIN_MS);
    else if (pauseMs < LAST_PAUSE_MS) this.#put(delivery, subscribed, 2 * pauseMs);
  }
}
