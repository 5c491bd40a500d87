// /healthz and /readyz: open to all, for anyone who watches the process. Imports hono and the fleet's reading.
import { Hono } from "hono";
import type { Env, Services } from "../services.ts";

export function healthRoutes({ courier, connection }: Services): Hono<Env> {
  const routes = new Hono<Env>();

  /** The process lives; that the share does not is no reason to restart it. */
  routes.get("/healthz", (context) => context.json({ status: "ok" }));

  /** The share can be read; whether an agent is there is not asked. */
  routes.get("/readyz", async (context) => {
    connection.requireOpen();
    await courier.agents();
    return context.json({ status: "ready" });
  });

  return routes;
}
