// Refusals that could not be published at once. Their commands are removed already, so they are in memory only.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Transport } from "../../transport.ts";
import type { AnswerTo } from "./judge.ts";
import { isDeniedAddress, isFinal } from "./transport_retries.ts";

export interface LateRefusalsDeps {
  readonly transport: Pick<Transport, "respond">;
  readonly clock: Clock;
  readonly log: Log;
}

/** The response to a refused command. */
export interface RefusalText {
  readonly answerTo: AnswerTo;
  readonly text: string;
  readonly isDurable: boolean;
  /** Anybody may write a command that no trusted key signed, with any address: one that is denied is not tried again. */
  readonly isSigned: boolean;
}

interface Kept extends RefusalText {
  readonly sinceMs: number;
  /** On the monotonic clock, as `sinceMs`. */
  readonly dueAtMs: number;
}

/** At first as often as other calls are repeated; its sender soon gives up. */
const SOON_MS = 1_000;
const SOON_FOR_MS = 60_000;
const LATER_MS = 60_000;
const GIVE_UP_AFTER_MS = 3_600_000;
/** The oldest is dropped. */
const KEPT = 1_000;

export class LateRefusals {
  readonly #deps: LateRefusalsDeps;
  readonly #stopping = new AbortController();
  readonly #kept = new Map<RefusalText, Kept>();
  #isPublishing = false;
  #hasDropped = false;

  constructor(deps: LateRefusalsDeps) {
    this.#deps = deps;
  }

  /** Publishes a refusal, now or as soon as it can be published, for an hour. Never rejects. */
  async publish(refusal: RefusalText): Promise<void> {
    const nowMs = this.#deps.clock.monotonic();
    if ((await this.#isOver(refusal, "warn")) || this.#stopping.signal.aborted) return;
    this.#kept.set(refusal, { ...refusal, sinceMs: nowMs, dueAtMs: nowMs + SOON_MS });
    this.#bound();
    if (!this.#isPublishing) void this.#publishRepeatedly();
  }

  /** Those that are left are lost. */
  stop(): void {
    this.#stopping.abort();
    this.#kept.clear();
  }

  #bound(): void {
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
      if (!this.#hasDropped) this.#deps.log.warn({ kept: KEPT }, "Too many refusals wait: the oldest are dropped");
      this.#hasDropped = true;
    }
  }

  async #publishRepeatedly(): Promise<void> {
    const { clock } = this.#deps;
    this.#isPublishing = true;
    while (this.#kept.size > 0) {
      const dueAtMs = [...this.#kept.values()].reduce((least, kept) => Math.min(least, kept.dueAtMs), Infinity);
      await clock.sleep(Math.max(0, dueAtMs - clock.monotonic()), this.#stopping.signal);
      const due = [...this.#kept].filter(([, kept]) => kept.dueAtMs <= clock.monotonic());
      // At the same time, so that they share listings.
      await Promise.all(due.map(async ([refusal, kept]) => await this.#tryAgain(refusal, kept)));
    }
    this.#isPublishing = false;
    this.#hasDropped = false;
  }

  async #tryAgain(refusal: RefusalText, kept: Kept): Promise<void> {
    const { clock, log } = this.#deps;
    const isOver = await this.#isOver(refusal, "debug");
    const nowMs = clock.monotonic();
    const ageMs = nowMs - kept.sinceMs;
    // It may have been dropped meanwhile.
    if (!this.#kept.has(refusal)) return;
    if (isOver || ageMs >= GIVE_UP_AFTER_MS) this.#kept.delete(refusal);
    else this.#kept.set(refusal, { ...kept, dueAtMs: nowMs + (ageMs < SOON_FOR_MS ? SOON_MS : LATER_MS) });
    if (!isOver && ageMs >= GIVE_UP_AFTER_MS)
      log.warn({ id: refusal.answerTo.ids[0] }, "A refusal could not be published for an hour");
  }

  /** One attempt. @returns false when a later one may succeed and is worth it */
  async #isOver(refusal: RefusalText, level: "warn" | "debug"): Promise<boolean> {
    const { answerTo, text, isDurable } = refusal;
    let isOver = true;
    for (const id of answerTo.ids) {
      try {
        const published = await this.#deps.transport.respond(answerTo.address, id, text, { durable: isDurable });
        if (!published) this.#deps.log.info({ id }, "The sender no longer waits for this response");
      } catch (error) {
        this.#deps.log[level]({ id, reason: asCourierError(error).message }, "Cannot publish a refusal");
        isOver &&= isFinal(error) || (!refusal.isSigned && isDeniedAddress(error));
      }
    }
    return isOver;
  }
}
