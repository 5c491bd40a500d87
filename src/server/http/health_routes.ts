// /healthz and /readyz: open to everyone, for load balancers and whatever else watches the process.
import { type Context, Hono } from "hono";
import { CourierError } from "../../base/errors.ts";
import type { Authenticator } from "../access/authenticator.ts";
import { type Env, peerOf } from "./env.ts";
import type { RefusedLogins } from "./guard/refused_logins.ts";
import type { Readiness } from "./readiness.ts";

export interface HealthDeps {
  readonly readiness: Pick<Readiness, "require">;
  readonly authenticator: Pick<Authenticator, "authenticate">;
  readonly refusedLogins: Pick<RefusedLogins, "add">;
}

export function healthRoutes(deps: HealthDeps): Hono<Env> {
  const routes = new Hono<Env>();

  /** The process is alive: restarting it would not bring back an unreachable share. */
  routes.get("/healthz", (context) => context.json({ status: "ok" }));

  /** The share can be read, whether or not it has agents. */
  routes.get("/readyz", async (context) => {
    try {
      await deps.readiness.require();
    } catch (error) {
      throw error instanceof CourierError && !(await mayKnow(context, deps)) ? withoutDetails(error) : error;
    }
    return context.json({ status: "ready" });
  });

  return routes;
}

/** A reason names paths and users: only a token gets it, of a caller that sees all agents. */
async function mayKnow(context: Context<Env>, { authenticator, refusedLogins }: HealthDeps): Promise<boolean> {
  const header = context.req.header("authorization");
  if (header === undefined) return false;
  const caller = await authenticator.authenticate(header);
  if (caller instanceof CourierError) refusedLogins.add(peerOf(context), caller);
  return !(caller instanceof CourierError) && caller.agents === null;
}

function withoutDetails({ code, cause }: CourierError): CourierError {
  return new CourierError(code, "The share cannot be read", {
    hint: "Send a token to see the reason, or read the log of gpu-server",
    cause,
  });
}
