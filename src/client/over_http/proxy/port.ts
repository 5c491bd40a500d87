// A port of this machine that only its own programs reach.
import { CourierError, systemCode } from "../../../base/errors.ts";

export interface LocalPort {
  /** Without a slash at its end. */
  readonly url: string;
  /** Ends what is under way. */
  close(): Promise<void>;
}

const HOST = "127.0.0.1";

/**
 * @param wanted 0: any free one
 * @param answer never rejects
 * @throws CourierError `conflict` when the port is in use; `forbidden` when this user may not use it
 */
export function openPort(wanted: number, answer: (request: Request, port: number) => Promise<Response>): LocalPort {
  const server = serve(wanted, async (request, { port }) => await answer(request, port ?? 0));
  return { url: server.url.origin, close: async () => await server.stop(true) };
}

function serve(
  port: number,
  fetch: (request: Request, server: Bun.Server<undefined>) => Promise<Response>,
): Bun.Server<undefined> {
  try {
    return Bun.serve({
      hostname: HOST,
      port,
      fetch,
      // A pull may be silent for as long as it likes.
      idleTimeout: 0,
      // gpu-server has its own limit, and nothing is kept here.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      development: false,
      // Another process could otherwise take half of the requests.
      reusePort: false,
    });
  } catch (error) {
    const code = systemCode(error);
    if (code === "EADDRINUSE")
      throw new CourierError("conflict", `Cannot listen on ${HOST}:${port}: the port is already in use`, {
        hint: "Choose another --port, or --port 0 for any free one",
        cause: error,
      });
    const reason = error instanceof Error ? error.message : String(error);
    throw new CourierError(
      code === "EACCES" ? "forbidden" : "internal",
      `Cannot listen on ${HOST}:${port}: ${reason}`,
      {
        hint: "Choose another --port, or --port 0 for any free one",
        cause: error,
      },
    );
  }
}
