// Which web pages of other origins a browser lets use the API (CORS). Tokens, not origins, decide what a request may do.
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Env } from "../env.ts";
import { addVary } from "../responses.ts";

const ALLOWED = {
  methods: ["GET", "HEAD", "POST", "DELETE"],
  headers: ["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", "X-Request-Id"],
};
const EXPOSED = ["Allow", "ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"];
/** A browser asks again after this time. */
const PREFLIGHT_KEPT_S = 600;

/**
 * Lets browsers show responses to pages of these origins, also refusals, and answers their preflight requests, which have no
 * token. No response uses cookies, so they are never allowed. Without an origin it does nothing.
 */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler<Env> {
  const allow = cors({
    origin: [...origins],
    allowMethods: ALLOWED.methods,
    allowHeaders: ALLOWED.headers,
    exposeHeaders: EXPOSED,
    maxAge: PREFLIGHT_KEPT_S,
  });
  return async (context, next) => {
    if (origins.length === 0) return await next();
    const isAllowed = origins.includes(context.req.header("origin") ?? "");
    // A preflight request goes no further.
    if (isAllowed && context.req.method === "OPTIONS") return await allow(context, next);
    await (isAllowed ? allow(context, next) : next());
    addVary(context.res.headers, "Origin");
    return undefined;
  };
}

/** An origin as browsers send it: `https://dash.example.org`, with a port if it is not the usual one; undefined: another text. */
export function originOf(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !["https:", "http:"].includes(url.protocol)) return undefined;
  return url.origin === text.toLowerCase() && !text.includes("*") ? url.origin : undefined;
}
