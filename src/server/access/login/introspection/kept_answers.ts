// The answers about tokens, kept for a short time under a hash of each token.
import { createHash } from "node:crypto";
import type { Clock } from "../../../../base/clock.ts";
import { CourierError } from "../../../../base/errors.ts";
import type { Caller } from "../../caller.ts";

export interface Answer {
  readonly caller: Caller | CourierError;
  /** How long it counts, from its question on. */
  readonly keptMs: number;
}

interface Kept {
  readonly caller: Caller | CourierError;
  /** On the monotonic clock. */
  readonly untilMs: number;
}

const MAX_KEPT = 10_000;
/** A flood of wrong tokens must not become a flood of questions. */
const MAX_QUESTIONS = 100;

export class KeptAnswers {
  readonly #clock: Pick<Clock, "monotonic">;
  /** The oldest answer first. */
  readonly #kept = new Map<string, Kept>();
  readonly #questions = new Map<string, Promise<Caller | CourierError>>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#kept.size;
  }

  /**
   * The kept answer about a token, that of a question under way, or that of `question`.
   * @param question never rejects
   */
  async get(token: string, question: () => Promise<Answer>): Promise<Caller | CourierError> {
    const key = createHash("sha256").update(token).digest("base64");
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#clock.monotonic() < kept.untilMs) return kept.caller;
    return await (this.#questions.get(key) ?? this.#ask(key, question));
  }

  async #ask(key: string, question: () => Promise<Answer>): Promise<Caller | CourierError> {
    if (this.#questions.size >= MAX_QUESTIONS)
      return new CourierError("unavailable", "Too many new tokens at the same time", { hint: "Try again in a moment" });
    const askedMs = this.#clock.monotonic();
    const asking = question().then(({ caller, keptMs }) => {
      this.#questions.delete(key);
      this.#keep(key, { caller, untilMs: askedMs + keptMs });
      return caller;
    });
    this.#questions.set(key, asking);
    return await asking;
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    if (kept.untilMs <= this.#clock.monotonic()) return;
    const oldest = this.#kept.keys().next();
    if (this.#kept.size >= MAX_KEPT && oldest.done !== true) this.#kept.delete(oldest.value);
    this.#kept.set(key, kept);
  }
}
