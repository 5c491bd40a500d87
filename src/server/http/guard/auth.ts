// Access control: bearer tokens with roles, and no browsers on the listener without tokens.
import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { CourierError } from "../../../base/errors.ts";
import type { Authenticator } from "../../access/authenticator.ts";
import { describeCaller, isHeldToLimits, TRUSTED_CALLER, UserRefused } from "../../access/caller.ts";
import { beyondLimits, changesNothing, takesTicket } from "../../access/route_needs.ts";
import type { Tickets } from "../../access/tickets.ts";
import type { RequestRate } from "../../limits/request_rate.ts";
import type { Role } from "../../store/tokens.ts";
import { type Env, peerOf } from "../env.ts";
import { TooFast } from "../problem.ts";
import type { RefusedLogins } from "./refused_logins.ts";

export interface AccessDeps {
  readonly authenticator: Pick<Authenticator, "authenticate">;
  readonly tickets: Pick<Tickets, "authorizationOf">;
  readonly rate: RequestRate;
  readonly refusedLogins: Pick<RefusedLogins, "add">;
}

/**
 * Lets a request through if its token is valid (else 401), sends no more requests than it may (else 429), and has a
 * sufficient role and no limits against it (else 403).
 */
export function requireToken({ authenticator, tickets, rate, refusedLogins }: AccessDeps): MiddlewareHandler<Env> {
  return async (context, next) => {
    const sent = authorizationOf(context, tickets);
    const caller = sent instanceof CourierError ? sent : await authenticator.authenticate(sent);
    if (caller instanceof CourierError) {
      refusedLogins.add(peerOf(context), caller);
      if (!(caller instanceof UserRefused)) throw caller;
      context.set("refused", caller.user);
      const waitMs = rate.take(caller.user.name);
      throw waitMs > 0 ? new TooFast(caller.user, waitMs) : caller;
    }
    context.set("caller", caller);
    if (typeof sent === "string") context.set("authorization", sent);
    const waitMs = isHeldToLimits(caller) ? rate.take(caller.name) : 0;
    if (waitMs > 0) throw new TooFast(caller, waitMs);
    if (!isAllowed(caller.role, context.req.method, context.req.path))
      throw new CourierError(
        "forbidden",
        `${describeCaller(caller)} has the role ${caller.role}, which does not permit this`,
        {
          hint: "A viewer may read under /v1. Everything else needs the role gp",
        },
      );
    const refusal = beyondLimits(caller, context.req.method, context.req.path);
    if (refusal !== undefined && isRoute(context)) throw refusal;
    await next();
  };
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

/** The header of a request, or the one that its ticket stands for, which opens event streams only. */
function authorizationOf({ req }: Context<Env>, tickets: AccessDeps["tickets"]): string | CourierError | undefined {
  const header = req.header("authorization");
  const ticket = req.query("ticket");
  if (header !== undefined || ticket === undefined || !takesTicket(req.method, req.path)) return header;
  return tickets.authorizationOf(ticket);
}

/** Whether more than middleware serves the request; else it gets 404 or 405. */
function isRoute(context: Context<Env>): boolean {
  return matchedRoutes(context).some(({ method }) => method !== "ALL");
}

function isAllowed(role: Role, method: string, path: string): boolean {
  if (role === "gp") return true;
  return changesNothing(method, path) && path.startsWith("/v1/");
}
