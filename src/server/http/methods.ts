// What every route does about methods: HEAD is answered as GET is, and a method that a path does not have with 405.
import type { Hono, MiddlewareHandler } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import type { Env } from "./env.ts";
import { errorResponse, failWith } from "./problem.ts";

/** Gives the answer to HEAD the headers that GET's has: hono drops the body, and Bun would then send a length of 0. */
export const describeHead: MiddlewareHandler<Env> = async (context, next) => {
  await next();
  const { body, headers } = context.res;
  if (context.req.method !== "HEAD" || body === null) return;
  if (headers.get("content-type")?.startsWith("text/event-stream") === true) return;
  const { byteLength } = await context.res.clone().arrayBuffer();
  context.header("content-length", String(byteLength));
};

/** Answers a path that other methods have with 405 and `Allow`. What stands after it, such as the check of the token, goes first. */
export function refuseOtherMethods(app: Hono<Env>): MiddlewareHandler<Env> {
  return methodNotAllowed({
    app,
    onMethodNotAllowed: ({ req }, methods) => {
      const allow = methods.toSorted().join(", ");
      const answer = errorResponse(req.path, failWith(405, `${req.path} has no ${req.method}`, `It has ${allow}`));
      answer.headers.set("allow", allow);
      return answer;
    },
  });
}
