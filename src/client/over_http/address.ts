// The address of gpu-server, as `--server` gives it.
import { CourierError } from "../../base/errors.ts";

export interface ServerAddress {
  /** Without a slash at its end: the paths of the routes follow. */
  readonly base: string;
  readonly isEncrypted: boolean;
}

/**
 * @param mayBePlain whether the token may go unencrypted over a network
 * @throws CourierError `invalid`
 */
export function parseServer(text: string, mayBePlain: boolean): ServerAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "")
    throw wrong(`"${text}" is no address of gpu-server`);
  if (url.username !== "" || url.password !== "") throw wrong("The address of gpu-server must not hold a password");
  if (url.search !== "" || url.hash !== "") throw wrong(`The address "${text}" of gpu-server must end with its path`);
  const isEncrypted = url.protocol === "https:";
  if (!isEncrypted && !mayBePlain && !isLoopback(url.hostname))
    throw new CourierError("invalid", `The token would travel unencrypted to ${url.host}`, {
      hint: "Use https, or an SSH tunnel: ssh -L 8001:127.0.0.1:8001 HOST. In a network that is encrypted itself: --server-plain",
    });
  return { base: `${url.origin}${url.pathname}`.replace(/\/+$/, ""), isEncrypted };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

function wrong(message: string): CourierError {
  return new CourierError("invalid", message, { hint: "For example: --server https://gpu.example.org" });
}
