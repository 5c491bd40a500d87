// HEAD, OPTIONS, and methods that a path does not support.
import type { Hono, MiddlewareHandler } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { Clock } from "../../base/clock.ts";
import type { Env } from "./env.ts";
import { errorResponse, failWith } from "./problem.ts";

/**
 * Gives the response to HEAD the headers of GET. Hono drops the body, and Bun would then send `content-length: 0`; it sends
 * no `Date` of its own either (seen with Bun 1.4.5).
 */
export function describeHead(clock: Pick<Clock, "now">): MiddlewareHandler<Env> {
  return async (context, next) => {
    await next();
    if (context.req.method !== "HEAD") return;
    context.res.headers.set("date", new Date(clock.now()).toUTCString());
    const { body, headers } = context.res;
    if (body === null || headers.get("content-type")?.startsWith("text/event-stream") === true) return;
    const { byteLength } = await context.res.clone().arrayBuffer();
    headers.set("content-length", String(byteLength));
  };
}

/** Answers OPTIONS without looking at the token: `refuseOtherMethods()` makes the response. It must be around this. */
export const answerOptions: MiddlewareHandler<Env> = async (context, next) => {
  if (context.req.method === "OPTIONS") return await context.notFound();
  return await next();
};

/**
 * Responds with 405 and `Allow` if the path supports only other methods, and to OPTIONS with 204. 401 and 403 take
 * precedence over 405.
 */
export function refuseOtherMethods(app: Hono<Env>): MiddlewareHandler<Env> {
  return methodNotAllowed({
    app,
    onMethodNotAllowed: ({ req }, methods) => {
      const allow = [...methods, "OPTIONS"].toSorted().join(", ");
      if (req.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
      const response = errorResponse(
        req.path,
        failWith(405, `${req.path} does not support ${req.method}`, `Use ${allow}`),
      );
      response.headers.set("allow", allow);
      return response;
    },
  });
}
