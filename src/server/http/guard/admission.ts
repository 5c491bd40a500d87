// Lets the sender of a request in: finds out who it is, and whether it sends too many.
import type { Context } from "hono";
import { CourierError } from "../../../base/errors.ts";
import type { Authenticator, Credential } from "../../access/authenticator.ts";
import { type Caller, isHeldToLimits, limitsKeyOf, UserRefused } from "../../access/caller.ts";
import type { Tickets } from "../../access/tickets.ts";
import type { RequestRate } from "../../limits/request_rate.ts";
import { type Env, peerOf } from "../env.ts";
import { TooFast } from "../problem.ts";
import type { RefusedLogins } from "./refused_logins.ts";
import type { SessionCookie } from "./session_cookie.ts";

export interface AccessDeps {
  readonly authenticator: Pick<Authenticator, "authenticate">;
  readonly tickets: Pick<Tickets, "authorizationOf">;
  /** Null: there are no sessions. */
  readonly cookie: Pick<SessionCookie, "read"> | null;
  readonly rate: RequestRate;
  readonly refusedLogins: Pick<RefusedLogins, "add">;
}

/**
 * Who sends a request, which is noted in its context.
 * @param sent what shows it, or why nothing does
 * @throws CourierError for one who is not let in; TooFast
 */
export async function admit(
  context: Context<Env>,
  sent: Credential | CourierError | undefined,
  { authenticator, rate, refusedLogins }: Omit<AccessDeps, "tickets" | "cookie">,
): Promise<Caller> {
  const caller = sent instanceof CourierError ? sent : await authenticator.authenticate(sent);
  if (caller instanceof CourierError) {
    if (!isFirstVisit(context, sent)) refusedLogins.add(peerOf(context), caller);
    if (!(caller instanceof UserRefused)) throw caller;
    context.set("refused", caller.user);
    const waitMs = rate.take(limitsKeyOf(caller.user));
    throw waitMs > 0 ? new TooFast(caller.user, waitMs) : caller;
  }
  if (sent !== undefined && !(sent instanceof CourierError)) context.set("authorization", sent);
  requireRate(context, caller, rate);
  return caller;
}

/** Notes who sends a request. @throws TooFast when this caller sends too many */
export function requireRate(context: Context<Env>, caller: Caller, rate: RequestRate): void {
  context.set("caller", caller);
  const waitMs = isHeldToLimits(caller) ? rate.take(limitsKeyOf(caller)) : 0;
  if (waitMs > 0) throw new TooFast(caller, waitMs);
}

/** The console asks at its start who is signed in: nobody yet is no refused log-in. */
function isFirstVisit({ req }: Context, sent: unknown): boolean {
  return sent === undefined && req.method === "GET" && req.path === "/v1/session";
}
