// Who may do what: every route behind it needs a bearer token. Imports hono's types, errors and the tokens.
import type { MiddlewareHandler } from "hono";
import { CourierError } from "../../base/errors.ts";
import type { Role, Tokens } from "../store/tokens.ts";
import type { Env } from "./env.ts";

/** Lets a request through that carries a valid token of a sufficient role: 401 comes before 403. */
export function requireToken(tokens: Tokens): MiddlewareHandler<Env> {
  return async (context, next) => {
    const token = tokens.find(bearerToken(context.req.header("authorization")));
    if (token === undefined)
      throw new CourierError("unauthenticated", "This token is not valid", {
        hint: "It may have been revoked; gpu-server token add makes one",
      });
    if (!isAllowed(token.role, context.req.method, context.req.path))
      throw new CourierError("forbidden", `Token "${token.name}" has the role ${token.role}, which may not do this`, {
        hint: "viewer reads under /v1; everything else needs a token of role gp",
      });
    context.set("token", token);
    await next();
  };
}

/**
 * Refuses what a browser sends. On the listener that asks for no token a page from anywhere could otherwise pull and
 * delete through the browser of somebody on this host; the programs it is for send neither header.
 */
export const refuseBrowsers: MiddlewareHandler = async (context, next) => {
  if (context.req.header("origin") !== undefined || context.req.header("sec-fetch-site") !== undefined)
    throw new CourierError("forbidden", "This listener is not for browsers", {
      hint: "Use the ordinary listener, with a token",
    });
  await next();
};

function bearerToken(header: string | undefined): string {
  const token = /^Bearer +(\S+)$/i.exec(header?.trim() ?? "")?.[1];
  if (token !== undefined) return token;
  throw new CourierError("unauthenticated", "No token was given", {
    hint: "Send the header Authorization: Bearer TOKEN; gpu-server token add makes one",
  });
}

function isAllowed(role: Role, method: string, path: string): boolean {
  if (role === "gp") return true;
  return (method === "GET" || method === "HEAD") && path.startsWith("/v1/");
}
