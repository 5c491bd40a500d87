// The answers about tokens, kept for a short time under a hash of each token. Wrong tokens, which anybody can send, push out
// no right one, and leave room for questions about those that were right a moment ago.
import { createHash } from "node:crypto";
import type { Clock } from "../../../../base/clock.ts";
import { CourierError } from "../../../../base/errors.ts";
import type { Caller } from "../../caller.ts";
import type { Trouble } from "../trouble.ts";

export interface KeptAnswersDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly trouble: Trouble;
}

export interface Answer {
  readonly caller: Caller | CourierError;
  /** How long it counts, from its question on; 0: the platform did not answer. */
  readonly keptMs: number;
}

/** The times are on the monotonic clock. */
interface Kept {
  readonly caller: Caller | CourierError;
  readonly untilMs: number;
  readonly askedMs: number;
}

/** Of each kind. */
const MAX_KEPT = 10_000;
/** A flood of wrong tokens must not become a flood of questions. */
const MAX_QUESTIONS = 100;
/** Of these, about unknown tokens. */
const MAX_UNKNOWN = 50;
/** After its last yes. */
const KNOWN_MS = 600_000;
/** Without too many questions, until that counts as over: a flood must not fill the log with its ends. */
const CALM_MS = 60_000;

export class KeptAnswers {
  readonly #deps: KeptAnswersDeps;
  /** Those who are let in, and the tokens that are known; the oldest first. */
  readonly #yes = new Map<string, Kept>();
  /** The oldest first. */
  readonly #no = new Map<string, Kept>();
  readonly #questions = new Map<string, Promise<Caller | CourierError>>();
  #unknown = 0;
  /** When there were too many questions last. */
  #fullMs: number | null = null;

  constructor(deps: KeptAnswersDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#yes.size + this.#no.size;
  }

  /**
   * The kept answer about a token, that of a question under way, or that of `question`.
   * @param question never rejects
   */
  async get(token: string, question: () => Promise<Answer>): Promise<Caller | CourierError> {
    const key = createHash("sha256").update(token).digest("base64");
    const kept = this.#yes.get(key) ?? this.#no.get(key);
    if (kept !== undefined && this.#now() < kept.untilMs) return kept.caller;
    return await (this.#questions.get(key) ?? this.#ask(key, question));
  }

  async #ask(key: string, question: () => Promise<Answer>): Promise<Caller | CourierError> {
    const isUnknown = this.#now() - (this.#yes.get(key)?.askedMs ?? Number.NEGATIVE_INFINITY) >= KNOWN_MS;
    if (this.#questions.size >= MAX_QUESTIONS || (isUnknown && this.#unknown >= MAX_UNKNOWN)) return this.#full();
    this.#noteCalm();
    const askedMs = this.#now();
    if (isUnknown) this.#unknown += 1;
    const asking = question().then(({ caller, keptMs }) => {
      this.#questions.delete(key);
      if (isUnknown) this.#unknown -= 1;
      if (keptMs !== 0) this.#keep(key, { caller, untilMs: askedMs + keptMs, askedMs });
      return caller;
    });
    this.#questions.set(key, asking);
    return await asking;
  }

  #keep(key: string, kept: Kept): void {
    this.#yes.delete(key);
    this.#no.delete(key);
    const answers = kept.caller instanceof CourierError ? this.#no : this.#yes;
    const oldest = answers.keys().next();
    if (answers.size >= MAX_KEPT && oldest.done !== true) answers.delete(oldest.value);
    answers.set(key, kept);
  }

  #full(): CourierError {
    this.#fullMs = this.#now();
    const failure = new CourierError("unavailable", "Too many new tokens at the same time", {
      hint: "Try again in a moment. The log of gpu-server names the addresses that send wrong ones",
    });
    this.#deps.trouble.failed("questions", failure);
    return failure;
  }

  #noteCalm(): void {
    if (this.#fullMs === null || this.#now() - this.#fullMs < CALM_MS) return;
    this.#fullMs = null;
    this.#deps.trouble.ended("questions");
  }

  #now(): number {
    return this.#deps.clock.monotonic();
  }
}
