// Measures each HTTP request, by its route.
import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { Env } from "../http/env.ts";
import type { Measures } from "./measures.ts";

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Never by its path, which a caller may choose. */
export function timeRequests({ requests }: Pick<Measures, "requests">): MiddlewareHandler<Env> {
  return async (context, next) => {
    const beganMs = performance.now();
    await next();
    const method = METHODS.has(context.req.method) ? context.req.method : "other";
    const labels = { route: routeOf(context), method, status: String(context.res.status) };
    requests.observe(labels, (performance.now() - beganMs) / 1000);
  };
}

/** As /openapi.json has it: `/v1/agents/{agent}`. */
function routeOf(context: Context<Env>): string {
  const path = matchedRoutes(context).findLast(({ method }) => method !== "ALL")?.path;
  return path?.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, "{$1}") ?? "unmatched";
}
