// The `ollama` command keeps the reason of a 401 from its user, and asks to sign in to ollama.com instead (v0.32.15).
import type { MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";

/** Makes a 401 to it a 403, whose text it prints. */
export const showReasons: MiddlewareHandler<Env> = async (context, next) => {
  await next();
  const { status, headers, body } = context.res;
  if (status !== 401 || context.req.header("user-agent")?.startsWith("ollama/") !== true) return;
  const kept = new Headers(headers);
  kept.delete("www-authenticate");
  context.res = undefined;
  context.res = new Response(body, { status: 403, headers: kept });
};
