// Access control: bearer tokens with roles, and no browsers on the listener without tokens.
import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { CourierError } from "../../../base/errors.ts";
import type { Credential } from "../../access/authenticator.ts";
import { type Caller, describeCaller, TRUSTED_CALLER } from "../../access/caller.ts";
import { beyondLimits, changesNothing, takesTicket } from "../../access/route_needs.ts";
import type { Role } from "../../store/tokens.ts";
import { type Env, peerOf } from "../env.ts";
import { MIRROR_PREFIX, OLLAMA_PREFIX } from "../request_target.ts";
import { type AccessDeps, admit } from "./admission.ts";

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
        hint:
          caller.role === "mirror"
            ? "It may read the models of the mirror, under /mirror"
            : "A viewer may read under /v1, /agents and /metrics. Everything else needs the role gp",
      },
    );
  const refusal = beyondLimits(caller, method, path);
  if (refusal !== undefined && isRoute(context)) throw refusal;
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
  if (header !== undefined) return req.path.startsWith(OLLAMA_PREFIX) ? asBearer(header) : header;
  const ticket = req.query("ticket");
  if (ticket !== undefined && takesTicket(req.method, req.path)) return tickets.authorizationOf(ticket);
  return cookie?.read(context);
}

/** Some clients of Ollama can only send a user and a password: the token is the password, and the user anything. */
function asBearer(header: string): string {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header.trim())?.[1];
  const password = /^[^:]*:([^]*)$/.exec(Buffer.from(encoded ?? "", "base64").toString())?.[1];
  return password === undefined ? header : `Bearer ${password}`;
}

/** Whether more than middleware serves the request; else it gets 404 or 405. */
function isRoute(context: Context<Env>): boolean {
  return matchedRoutes(context).some(({ method }) => method !== "ALL");
}

function isAllowed(role: Role, method: string, path: string): boolean {
  if (role === "gp") return true;
  if (role === "mirror") return path.startsWith(MIRROR_PREFIX) && changesNothing(method, path);
  const isReadable = path.startsWith("/v1/") || path.startsWith(OLLAMA_PREFIX) || path === "/metrics";
  return isReadable && changesNothing(method, path);
}
