// Opens and closes the sockets. The only user of Bun.serve in gpu-server.
import { type Clock, systemClock } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  /** With the actual port, also when port 0 was asked for. */
  readonly url: string;
  /** Refuses new connections, gives active requests up to `graceMs` to finish, then closes the rest. */
  close(graceMs: number): Promise<void>;
}

/** Bun's maximum. 0 means never. */
const MAX_IDLE_S = 255;
/** A silent connection may stay open this much longer than the longest request. */
const IDLE_MARGIN_S = 15;
const POLL_MS = 10;

/**
 * @param requestTimeoutMs how long a request may be silent; by default Bun would close it after 10 s
 * @throws CourierError `conflict` when the port is in use; `forbidden` when this user may not use it; `invalid` when the host is not local
 */
export function listen(
  { host, port }: Address,
  fetch: (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>,
  requestTimeoutMs: number,
  clock: Clock = systemClock,
): Listener {
  const idleS = Math.ceil(requestTimeoutMs / 1000) + IDLE_MARGIN_S;
  const server = serve({ host, port }, fetch, idleS > MAX_IDLE_S ? 0 : idleS);
  return {
    url: server.url.origin,
    async close(graceMs) {
      void server.stop();
      const endMs = clock.monotonic() + graceMs;
      while (server.pendingRequests > 0 && clock.monotonic() < endMs) await clock.sleep(POLL_MS);
      await server.stop(true);
    },
  };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function serve(
  { host, port }: Address,
  fetch: (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>,
  idleTimeout: number,
): Bun.Server<undefined> {
  try {
    // By default Bun shares a port among processes: two servers would respond in turn, each with its own tokens.
    return Bun.serve({ hostname: host, port, fetch, idleTimeout, development: false, reusePort: false });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const code = systemCode(error);
    if (code === "EADDRINUSE")
      throw new CourierError("conflict", `Cannot listen on ${host}:${port}: the port is already in use`, {
        hint: "Choose another --port, or stop the program that uses it",
        cause: error,
      });
    throw new CourierError(code === "EACCES" ? "forbidden" : "invalid", `Cannot listen on ${host}:${port}: ${reason}`, {
      hint: "Choose another --host or --port",
      cause: error,
    });
  }
}
