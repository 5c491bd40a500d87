// /healthz and /readyz: open to everyone, for load balancers and whatever else watches the process.
import { Hono } from "hono";
import type { Env } from "./env.ts";

/** @param requireReady rejects with the reason while the share cannot be read */
export function healthRoutes(requireReady: () => Promise<void>): Hono<Env> {
  const routes = new Hono<Env>();

  /** The process is alive: restarting it would not bring back an unreachable share. */
  routes.get("/healthz", (context) => context.json({ status: "ok" }));

  /** The share can be read, whether or not it has agents. */
  routes.get("/readyz", async (context) => {
    await requireReady();
    return context.json({ status: "ready" });
  });

  return routes;
}
