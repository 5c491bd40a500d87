// Asks the platform who a token is of: its "who am I" route knows the user's role, and what was revoked.
import { decodeJwt } from "jose";
import { z } from "zod";
import type { Clock } from "../../../../base/clock.ts";
import { asCourierError, CourierError } from "../../../../base/errors.ts";
import { parseJson } from "../../../../base/foreign_text.ts";
import type { Login } from "../../authenticator.ts";
import type { Caller } from "../../caller.ts";
import type { Admission } from "../admission.ts";
import type { Claims } from "../claims.ts";
import { ask, type QuestionOptions, type Reply, unusable } from "../question.ts";
import { type Trouble, withoutReason } from "../trouble.ts";
import { type Answer, KeptAnswers } from "./kept_answers.ts";
import { RouteCheck, WRONG_ROUTE } from "./route_check.ts";

export interface IntrospectionDeps {
  readonly question: QuestionOptions;
  readonly admission: Admission;
  readonly trouble: Trouble;
  readonly clock: Pick<Clock, "now" | "monotonic">;
}

const YES_KEPT_MS = 30_000;
const NO_KEPT_MS = 5_000;
/** What a header can carry. */
const TOKEN = /^[\x21-\x7e]{1,16000}$/;
/** Platforms refuse with any of these: an inactive user is often a 400, a deleted one a 404. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403, 404, 422]);
const User = z.record(z.string(), z.unknown());

export class Introspection implements Login {
  readonly #deps: IntrospectionDeps;
  readonly #answers: KeptAnswers;
  readonly #route: RouteCheck;

  constructor(deps: IntrospectionDeps) {
    this.#deps = deps;
    this.#answers = new KeptAnswers(deps);
    this.#route = new RouteCheck(deps);
  }

  async authenticate(token: string): Promise<Caller | CourierError> {
    if (!TOKEN.test(token)) return new CourierError("unauthenticated", "Invalid token");
    const doubt = await this.#route.doubt();
    if (doubt !== null) return withoutReason(doubt);
    return await this.#answers.get(token, async () => await this.#answer(token));
  }

  /** Asks without a token. */
  async check(): Promise<void> {
    await this.#route.check();
  }

  async #answer(token: string): Promise<Answer> {
    const { clock, trouble } = this.#deps;
    const caller = await this.#ask(token).catch(asCourierError);
    if (!(caller instanceof CourierError)) {
      trouble.ended("tokens");
      const leftMs = (caller.expiresAtMs ?? Number.POSITIVE_INFINITY) - clock.now();
      return { caller, keptMs: Math.min(YES_KEPT_MS, leftMs) };
    }
    const isAnswer = caller.code === "unauthenticated" || caller.code === "forbidden";
    if (isAnswer) trouble.ended("tokens");
    else trouble.failed("tokens", caller);
    return { caller: withoutReason(caller), keptMs: isAnswer ? NO_KEPT_MS : 0 };
  }

  async #ask(token: string): Promise<Caller> {
    const { question, admission, clock } = this.#deps;
    const reply = await ask(question, { authorization: `Bearer ${token}` });
    const claims = userOf(question.url, reply);
    return admission.admit(claims, "introspection", expiryOf(token, clock.now()));
  }
}

/** @throws CourierError `unauthenticated` when the platform refuses the token; `unavailable` for an unusable reply */
function userOf(url: URL, { status, text }: Reply): Claims {
  if (REFUSALS.has(status))
    throw new CourierError("unauthenticated", `The platform does not accept this token: it answers ${status}`, {
      hint: "Log in to the platform again",
    });
  if (status >= 300 && status < 400) throw unusable(url, "redirects, which is not followed", WRONG_ROUTE);
  if (status !== 200) throw unusable(url, `answers ${status}`);
  if (text === null) throw unusable(url, "sends more than 64 kB", WRONG_ROUTE);
  const user = User.safeParse(parseJson(text));
  if (!user.success) throw unusable(url, "sends no JSON object", WRONG_ROUTE);
  // As RFC 7662 says it.
  if (user.data["active"] === false)
    throw new CourierError("unauthenticated", "The platform says that this token is not active", {
      hint: "Log in to the platform again",
    });
  return user.data;
}

/** When a token ends that the platform has verified: not verified here, it only shortens. Null: it does not show. */
function expiryOf(token: string, nowMs: number): number | null {
  try {
    const { exp } = decodeJwt(token);
    return exp !== undefined && exp * 1000 > nowMs && exp * 1000 <= LAST_MS ? exp * 1000 : null;
  } catch {
    // Not a JWT: the platform alone knows.
    return null;
  }
}

/** The last instant of `Date`. */
const LAST_MS = 8.64e15;
