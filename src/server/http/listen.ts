// Opens and closes the sockets. Imports the clock and errors; Bun.serve is used here alone.
import { type Clock, systemClock } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  /** With the port that was given, also for port 0. */
  readonly url: string;
  /** Takes no new connection, lets what is under way end for at most `graceMs`, then closes the rest. */
  close(graceMs: number): Promise<void>;
}

/** Bun takes at most this; 0 is never. */
const MAX_IDLE_S = 255;
/** How much longer than the longest request a silent connection may be. */
const IDLE_MARGIN_S = 15;
const POLL_MS = 10;

/**
 * @param requestTimeoutMs how long a request may be silent: Bun would cut it after 10 s
 * @throws CourierError `conflict` when the port is taken; `forbidden` when this user may not; `invalid` for another host
 */
export function listen(
  { host, port }: Address,
  fetch: (request: Request) => Response | Promise<Response>,
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
  fetch: (request: Request) => Response | Promise<Response>,
  idleTimeout: number,
): Bun.Server<undefined> {
  try {
    // Bun shares a port among processes otherwise: two servers would answer in turn, each with its own tokens.
    return Bun.serve({ hostname: host, port, fetch, idleTimeout, development: false, reusePort: false });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const code = systemCode(error);
    if (code === "EADDRINUSE")
      throw new CourierError("conflict", `Cannot listen on ${host}:${port}: something else does`, {
        hint: "Choose another --port, or stop what listens there",
        cause: error,
      });
    throw new CourierError(code === "EACCES" ? "forbidden" : "invalid", `Cannot listen on ${host}:${port}: ${reason}`, {
      hint: "Choose another --host or --port",
      cause: error,
    });
  }
}
