// Deliveries that could not be ended, because the share denied something for long or a folder of it was away: they are taken up
// again while they are still there.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Delivery, Inbox, Transport } from "../../transport.ts";

/** The subscription that delivered a command. */
export interface Subscribed {
  /** When it began, on the transport's clock. */
  readonly sinceMs: number;
  /** Aborts when it is closed. */
  readonly closed: AbortSignal;
}

/** A delivery that is not ended: it has no answer, or its command could not be removed. */
export interface Left {
  readonly delivery: Delivery;
  readonly subscribed: Subscribed;
  readonly isAnswered: boolean;
  /** It was not there at the last look: most were withdrawn, but its folder may have been away. */
  readonly isMissing: boolean;
  /** This agent holds its claim: no other agent answers it, whichever serves the shared inbox. */
  readonly isClaimed: boolean;
}

export interface UnansweredDeps {
  readonly transport: Pick<Transport, "isUnchanged" | "release">;
  readonly hasRoom: (inbox: Inbox) => boolean;
  readonly takeAgain: (delivery: Delivery, subscribed: Subscribed) => void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Kept extends Left {
  readonly pauseMs: number;
  /** On the monotonic clock. */
  readonly dueAtMs: number;
}

const AGAIN_MS = 60_000;
/** One that is missing is looked for after ever longer pauses. */
const LAST_PAUSE_MS = 32 * AGAIN_MS;
/** Of more, those that are missing are forgotten first, then the answered ones. The next start finds the others. */
const KEPT = 1_000;

export class Unanswered {
  readonly #deps: UnansweredDeps;
  readonly #kept = new Map<string, Kept>();
  readonly #stopping = new AbortController();
  #isLooking = false;
  #hasForgotten = false;

  constructor(deps: UnansweredDeps) {
    this.#deps = deps;
  }

  /** Keeps one from now on, until it is taken again or removed. */
  keep(left: Left): void {
    if (this.#stopping.signal.aborted) return;
    this.#put(left, AGAIN_MS);
    if (this.#kept.size > KEPT) this.#forgetOne();
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

  #forgetOne(): void {
    const kept = [...this.#kept];
    const [key] =
      kept.find(([, { isMissing }]) => isMissing) ?? kept.find(([, { isAnswered }]) => isAnswered) ?? kept[0] ?? [];
    if (key !== undefined) this.#kept.delete(key);
    if (!this.#hasForgotten)
      this.#deps.log.warn({ kept: KEPT }, "Too many commands cannot be ended: the oldest are forgotten");
    this.#hasForgotten = true;
  }

  #put(left: Left, pauseMs: number): void {
    this.#kept.set(left.delivery.key, { ...left, pauseMs, dueAtMs: this.#deps.clock.monotonic() + pauseMs });
  }

  /** Never rejects: one that cannot be looked at now is looked at in the next round. */
  async #lookRepeatedly(): Promise<void> {
    const { clock } = this.#deps;
    this.#isLooking = true;
    while (this.#kept.size > 0) {
      const dueAtMs = Math.min(...[...this.#kept.values()].map((kept) => kept.dueAtMs));
      await clock.sleep(Math.max(0, dueAtMs - clock.monotonic()), this.#stopping.signal);
      const due = [...this.#kept.values()].filter((kept) => kept.dueAtMs <= clock.monotonic());
      // At the same time, so that they share listings.
      await Promise.all(due.map(async (kept) => await this.#look(kept)));
    }
    this.#isLooking = false;
    this.#hasForgotten = false;
  }

  async #look(kept: Kept): Promise<void> {
    const { delivery, subscribed, isAnswered, isClaimed, pauseMs } = kept;
    this.#kept.delete(delivery.key);
    // It is delivered again when this agent listens to the inbox again; until then another one may answer it.
    if (subscribed.closed.aborted && !isClaimed && !isAnswered) return;
    const isThere = await (isAnswered ? this.#remove(delivery) : this.#isThere(delivery));
    if (this.#stopping.signal.aborted) return;
    const mustWait = isThere === true && !isAnswered && !this.#deps.hasRoom(delivery.inbox);
    if (isThere === null || mustWait) this.#put(kept, AGAIN_MS);
    else if (isThere && !isAnswered) this.#deps.takeAgain(delivery, subscribed);
    else if (!isThere && pauseMs < LAST_PAUSE_MS) this.#put({ ...kept, isMissing: true }, 2 * pauseMs);
  }

  /** @returns null when that cannot be found out now */
  async #isThere(delivery: Delivery): Promise<boolean | null> {
    return await this.#deps.transport.isUnchanged(delivery).catch(() => null);
  }

  /** @returns whether it was there; null when it cannot be removed now */
  async #remove(delivery: Delivery): Promise<boolean | null> {
    return await this.#deps.transport.release(delivery).catch(() => null);
  }
}
