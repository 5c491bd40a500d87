// Headers that every response has: its id, and whether it may be kept.
import type { MiddlewareHandler } from "hono";
import { requestId } from "hono/request-id";
import type { Env } from "./env.ts";

const MAX_ID_CHARACTERS = 64;
const MADE_CHARACTERS = 12;

/** `X-Request-Id`: the client's own if it is short and has only `A-Z a-z 0-9 _ - =`; otherwise a new one. */
export const identifyRequest: MiddlewareHandler = async (context, next) => {
  await identify(context, next);
  // What hono sets before is not in a response that hono did not make, such as one to a failed request.
  context.header("x-request-id", context.get("requestId"));
};

const identify = requestId({
  limitLength: MAX_ID_CHARACTERS,
  generator: () => crypto.randomUUID().slice(-MADE_CHARACTERS),
});

/** No cache keeps a response without a `Cache-Control` of its own: most show the fleet, or why a request failed. */
export const keepNothing: MiddlewareHandler<Env> = async (context, next) => {
  await next();
  if (!context.res.headers.has("cache-control")) context.header("cache-control", "no-store");
};
