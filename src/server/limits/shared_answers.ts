// Asks a question once for everybody who asks it at about the same time.
import type { Clock } from "../../base/clock.ts";

export interface SharedAnswersOptions {
  readonly clock: Pick<Clock, "monotonic">;
  /** How long an answer serves others, from its question on. */
  readonly keptMs: number;
  /** How long, from its question on, others join an answer that is still awaited; by default until it is there. */
  readonly joinedMs?: number;
}

interface Question<Answer> {
  readonly askedMs: number;
  readonly answer: Promise<Answer>;
  isAwaited: boolean;
}

/** Keys are the callers' own: this many are remembered. */
const MAX_QUESTIONS = 1_000;

/** A failure is an answer too. */
export class SharedAnswers<Answer> {
  readonly #clock: SharedAnswersOptions["clock"];
  readonly #keptMs: number;
  readonly #joinedMs: number;
  /** In the order of the questions, the oldest first. */
  readonly #questions = new Map<string, Question<Answer>>();

  constructor({ clock, keptMs, joinedMs = Number.POSITIVE_INFINITY }: SharedAnswersOptions) {
    this.#clock = clock;
    this.#keptMs = keptMs;
    this.#joinedMs = joinedMs;
  }

  /**
   * The answer under a key that is awaited or still young enough, else that of `ask`.
   * @param ask outlives a caller that goes away, because others may share its answer
   */
  async get(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    this.#forget();
    const known = this.#questions.get(key) ?? this.#ask(key, ask);
    return await known.answer;
  }

  #ask(key: string, ask: () => Promise<Answer>): Question<Answer> {
    const question = { askedMs: this.#clock.monotonic(), answer: ask(), isAwaited: true };
    if (this.#questions.size >= MAX_QUESTIONS) this.#questions.delete(this.#questions.keys().next().value ?? key);
    this.#questions.set(key, question);
    const answered = (): void => {
      question.isAwaited = false;
      this.#forget();
    };
    void question.answer.then(answered, answered);
    return question;
  }

  #forget(): void {
    const nowMs = this.#clock.monotonic();
    for (const [key, { askedMs, isAwaited }] of this.#questions) {
      const ageMs = nowMs - askedMs;
      if (ageMs < this.#keptMs) return;
      if (!isAwaited || ageMs >= this.#joinedMs) this.#questions.delete(key);
    }
  }
}
