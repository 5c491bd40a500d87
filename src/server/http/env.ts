// What a request carries from one middleware to the next.
import type { Context, MiddlewareHandler } from "hono";
import { CourierError } from "../../base/errors.ts";
import type { Credential } from "../access/authenticator.ts";
import type { Caller } from "../access/caller.ts";
import type { TrustedProxies } from "../access/trusted_proxies.ts";

export interface Env {
  /** Bun's server, which `listen()` passes on. */
  Bindings: {
    requestIP?(request: Request): { readonly address: string } | null;
  };
  Variables: {
    /** Absent where anyone may ask. */
    caller?: Caller;
    /** Who sends it, and may do nothing at all. */
    refused?: Pick<Caller, "name" | "way">;
    /** What lets the caller in: the header with the token, the session, or what its ticket stands for. */
    authorization?: Credential;
    /** The body of the response, if it is sent again and again. */
    sharedBody?: Uint8Array<ArrayBuffer>;
    requestId: string;
    /** The address that the request came from. */
    peer?: string;
  };
}

/** The address that a request came from: behind a proxy that is not trusted, that of the proxy. */
export function peerOf(context: Context<Env>): string {
  const { env, req } = context;
  return context.get("peer") ?? env.requestIP?.(req.raw)?.address ?? "unknown";
}

/** Notes at the start where a request comes from: later, a body without a length makes another request of it, without address. */
export function identifyPeer(proxies: Pick<TrustedProxies, "clientOf">): MiddlewareHandler<Env> {
  return async (context, next) => {
    context.set("peer", proxies.clientOf(peerOf(context), context.req.header("x-forwarded-for")));
    await next();
  };
}

/** Who sends a request under /v1 or /api, where each has a caller. */
export function callerOf(context: Context<Env>): Caller {
  const caller = context.get("caller");
  if (caller !== undefined) return caller;
  throw new CourierError("unauthenticated", "No token was sent");
}

/** Who sends a request, also one that may do nothing at all; undefined: an unknown sender. */
export function senderOf(context: Context<Env>): Pick<Caller, "name" | "way" | "accounts"> | undefined {
  return context.get("caller") ?? context.get("refused");
}

/** What a command takes over from its HTTP request: who asks, if that is known, and when the client is gone. */
export function requesterOf(context: Context<Env>): {
  readonly requestedBy: string | undefined;
  readonly signal: AbortSignal;
} {
  const { way, name } = callerOf(context);
  return { requestedBy: way === "trusted" ? undefined : name, signal: context.req.raw.signal };
}
