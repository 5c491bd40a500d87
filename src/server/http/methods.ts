// HEAD, and methods that a path does not support.
import type { Hono, MiddlewareHandler } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { Env } from "./env.ts";
import { errorResponse, failWith } from "./problem.ts";

/** Gives the response to HEAD the headers of GET. Hono drops the body, and Bun would then send `content-length: 0`. */
export const describeHead: MiddlewareHandler<Env> = async (context, next) => {
  await next();
  const { body, headers } = context.res;
  if (context.req.method !== "HEAD" || body === null) return;
  if (headers.get("content-type")?.startsWith("text/event-stream") === true) return;
  const { byteLength } = await context.res.clone().arrayBuffer();
  context.header("content-length", String(byteLength));
};

/** Responds with 405 and `Allow` if the path supports only other methods. 401 and 403 take precedence. */
export function refuseOtherMethods(app: Hono<Env>): MiddlewareHandler<Env> {
  return methodNotAllowed({
    app,
    onMethodNotAllowed: ({ req }, methods) => {
      const allow = methods.toSorted().join(", ");
      const response = errorResponse(
        req.path,
        failWith(405, `${req.path} does not support ${req.method}`, `Use ${allow}`),
      );
      response.headers.set("allow", allow);
      return response;
    },
  });
}
