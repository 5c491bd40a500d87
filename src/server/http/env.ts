// What a request carries from one middleware to the next.
import type { Context } from "hono";
import { CourierError } from "../../base/errors.ts";
import type { TokenEntry } from "../store/tokens.ts";

export interface Env {
  /** Bun's server, which `listen()` passes on. */
  Bindings: {
    requestIP?(request: Request): { readonly address: string } | null;
  };
  Variables: {
    /** Absent on the listener that needs no token. */
    token?: TokenEntry;
  };
}

/** The address that a request came from: behind a proxy, that of the proxy. */
export function peerOf({ env, req }: Context<Env>): string {
  return env.requestIP?.(req.raw)?.address ?? "unknown";
}

/** The token of a request under /v1, where each has one. */
export function tokenOf(context: Context<Env>): TokenEntry {
  const token = context.get("token");
  if (token !== undefined) return token;
  throw new CourierError("unauthenticated", "No token was sent");
}

/** What a command takes over from its HTTP request: who asks, by the name of the token, and when the client is gone. */
export function callerOf(context: Context<Env>): {
  readonly requestedBy: string | undefined;
  readonly signal: AbortSignal;
} {
  return { requestedBy: context.get("token")?.name, signal: context.req.raw.signal };
}
