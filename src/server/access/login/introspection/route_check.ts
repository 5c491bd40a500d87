// Whether the "who am I" route refuses a request without a token: one that lets everybody in knows no token either.
import type { Clock } from "../../../../base/clock.ts";
import { asCourierError, CourierError } from "../../../../base/errors.ts";
import { ask, type QuestionOptions, type Reply, unusable } from "../question.ts";
import type { Trouble } from "../trouble.ts";

export interface RouteCheckDeps {
  readonly question: QuestionOptions;
  readonly trouble: Trouble;
  readonly clock: Pick<Clock, "monotonic">;
}

export const WRONG_ROUTE = "Is --auth-introspect the route that describes the logged-in user?";

/** Of a route that names the caller, to a request without a token. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 422]);
/** Of a platform, or a proxy before it, that cannot answer now: that shows nothing of the route. */
const AWAY: ReadonlySet<number> = new Set([408, 429]);
/** While no token can be believed. */
const AGAIN_MS = 5_000;

export class RouteCheck {
  readonly #deps: RouteCheckDeps;
  /** Null: the last reply without a token was a refusal. */
  #doubt: CourierError | null;
  /** On the monotonic clock. */
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<CourierError | null> | null = null;

  constructor(deps: RouteCheckDeps) {
    this.#deps = deps;
    this.#doubt = unusable(deps.question.url, "was not asked yet");
  }

  /** Why no token can be believed now; null: tokens can. Asks again while they cannot, every 5 s at most. Never rejects. */
  async doubt(): Promise<CourierError | null> {
    const isDue = this.#deps.clock.monotonic() - this.#askedMs >= AGAIN_MS;
    if (this.#doubt !== null && (this.#asking !== null || isDue)) await this.#ask();
    return this.#doubt;
  }

  /** Asks now. @throws CourierError `unavailable`, with the reason */
  async check(): Promise<void> {
    const failure = await this.#ask();
    if (failure !== null) throw failure;
  }

  /** The failure, if there is one. Never rejects. Those who ask at the same time share a question. */
  async #ask(): Promise<CourierError | null> {
    this.#asking ??= this.#look().finally(() => {
      this.#asking = null;
    });
    return await this.#asking;
  }

  async #look(): Promise<CourierError | null> {
    const { question, trouble, clock } = this.#deps;
    this.#askedMs = clock.monotonic();
    const reply = await ask(question).catch(asCourierError);
    const failure = reply instanceof CourierError ? reply : wrongReply(question.url, reply);
    // While a platform is away, its route counts as it did before.
    const isAway = reply instanceof CourierError || reply.status >= 500 || AWAY.has(reply.status);
    if (!isAway || this.#doubt !== null) this.#doubt = failure;
    if (failure === null) trouble.ended("check");
    else trouble.failed("check", failure);
    return failure;
  }
}

function wrongReply(url: URL, { status }: Reply): CourierError | null {
  if (REFUSALS.has(status)) return null;
  return unusable(url, `answers ${status} without a token, not 401`, WRONG_ROUTE);
}
