// Access control: bearer tokens with roles, and no browsers on the listener without tokens.
import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { CourierError } from "../../../base/errors.ts";
import type { Authenticator, Credential } from "../../access/authenticator.ts";
import {
  type Caller,
  describeCaller,
  isHeldToLimits,
  limitsKeyOf,
  TRUSTED_CALLER,
  UserRefused,
} from "../../access/caller.ts";
import { beyondLimits, changesNothing, takesTicket } from "../../access/route_needs.ts";
import type { Tickets } from "../../access/tickets.ts";
import type { RequestRate } from "../../limits/request_rate.ts";
import type { Role } from "../../store/tokens.ts";
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
 * Lets a request through if its token is valid (else 401), sends no more requests than it may (else 429), and has a
 * sufficient role and no limits against it (else 403).
 */
export function requireToken(deps: AccessDeps): MiddlewareHandler<Env> {
  return async (context, next) => {
    requirePermission(context, await admit(context, authorizationOf(context, deps), deps));
    await next();
  };
}

/**
 * Asks again when the body of a change is there: its sender may take as long as it likes, and a token that was revoked
 * meanwhile must change nothing. After `requireToken()`, and after what limits the body.
 */
export function requireTokenStill({
  authenticator,
  refusedLogins,
}: Pick<AccessDeps, "authenticator" | "refusedLogins">): MiddlewareHandler<Env> {
  return async (context, next) => {
    const { req } = context;
    if (changesNothing(req.method, req.path) || req.raw.body === null) return await next();
    // As text, which the audit shows the beginning of.
    await req.text();
    const caller = await authenticator.authenticate(context.get("authorization"));
    if (caller instanceof CourierError) {
      refusedLogins.add(peerOf(context), caller);
      throw caller;
    }
    context.set("caller", caller);
    requirePermission(context, caller);
    return await next();
  };
}

/** @throws CourierError `forbidden` for a caller whose role or limits do not permit the request */
function requirePermission(context: Context<Env>, caller: Caller): void {
  const { method, path } = context.req;
  if (!isAllowed(caller.role, method, path))
    throw new CourierError(
      "forbidden",
      `${describeCaller(caller)} has the role ${caller.role}, which does not permit this`,
      {
        hint: "A viewer may read under /v1 and /metrics. Everything else needs the role gp",
      },
    );
  const refusal = beyondLimits(caller, method, path);
  if (refusal !== undefined && isRoute(context)) throw refusal;
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

/** Gives every request on the listener without tokens the same caller. */
export const trustEveryone: MiddlewareHandler<Env> = async (context, next) => {
  context.set("caller", TRUSTED_CALLER);
  await next();
};

/**
 * Refuses requests from browsers. On the listener without tokens, any web page could otherwise pull and delete models
 * through a browser on this host. The programs that the listener is for send neither header.
 */
export const refuseBrowsers: MiddlewareHandler = async (context, next) => {
  if (context.req.header("origin") !== undefined || context.req.header("sec-fetch-site") !== undefined)
    throw new CourierError("forbidden", "This listener does not serve browsers", {
      hint: "Use the main listener, with a token",
    });
  await next();
};

/** The header of a request, what its ticket stands for, which opens event streams only, or its session: the first that it has. */
function authorizationOf(
  context: Context<Env>,
  { tickets, cookie }: Pick<AccessDeps, "tickets" | "cookie">,
): Credential | CourierError | undefined {
  const { req } = context;
  const header = req.header("authorization");
  if (header !== undefined) return header;
  const ticket = req.query("ticket");
  if (ticket !== undefined && takesTicket(req.method, req.path)) return tickets.authorizationOf(ticket);
  return cookie?.read(context);
}

/** Whether more than middleware serves the request; else it gets 404 or 405. */
function isRoute(context: Context<Env>): boolean {
  return matchedRoutes(context).some(({ method }) => method !== "ALL");
}

function isAllowed(role: Role, method: string, path: string): boolean {
  if (role === "gp") return true;
  return changesNothing(method, path) && (path.startsWith("/v1/") || path === "/metrics");
}
