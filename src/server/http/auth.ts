// Access control: bearer tokens with roles, and no browsers on the listener without tokens.
import type { MiddlewareHandler } from "hono";
import { CourierError } from "../../base/errors.ts";
import type { RequestRate } from "../limits/request_rate.ts";
import type { Role, TokenEntry, Tokens } from "../store/tokens.ts";
import { type Env, peerOf } from "./env.ts";
import { TooFast } from "./problem.ts";
import type { RefusedLogins } from "./refused_logins.ts";

export interface AccessDeps {
  readonly tokens: Tokens;
  readonly rate: RequestRate;
  readonly refusedLogins: Pick<RefusedLogins, "add">;
}

/**
 * Lets a request through if its token is valid (else 401), sends no more requests than it may (else 429), and has a
 * sufficient role (else 403).
 */
export function requireToken({ tokens, rate, refusedLogins }: AccessDeps): MiddlewareHandler<Env> {
  return async (context, next) => {
    const token = findToken(tokens, context.req.header("authorization"));
    if (token instanceof CourierError) {
      refusedLogins.add(peerOf(context), token.message);
      throw token;
    }
    context.set("token", token);
    const waitMs = token.role === "viewer" ? rate.take(token.name) : 0;
    if (waitMs > 0) throw new TooFast(token.name, waitMs);
    if (!isAllowed(token.role, context.req.method, context.req.path))
      throw new CourierError(
        "forbidden",
        `Token "${token.name}" has the role ${token.role}, which does not permit this`,
        {
          hint: "A viewer may read under /v1. Everything else needs a token with the role gp",
        },
      );
    await next();
  };
}

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

/** The entry of the token in an Authorization header, or why it has no valid one. */
export function findToken(tokens: Tokens, header: string | undefined): TokenEntry | CourierError {
  const token = /^Bearer +(\S+)$/i.exec(header?.trim() ?? "")?.[1];
  if (token === undefined)
    return new CourierError("unauthenticated", "No token was sent", {
      hint: "Send the header Authorization: Bearer TOKEN. Add a token with: gpu-server token add",
    });
  const hint = "It may have been revoked. Add one with: gpu-server token add";
  return tokens.find(token) ?? new CourierError("unauthenticated", "Invalid token", { hint });
}

function isAllowed(role: Role, method: string, path: string): boolean {
  if (role === "gp") return true;
  return (method === "GET" || method === "HEAD") && path.startsWith("/v1/");
}
