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
    throw wrong(`"${text}" is not a gpu-server address`, withScheme(text));
  if (url.username !== "" || url.password !== "") throw wrong("The address of gpu-server must not contain a password");
  if (url.search !== "" || url.hash !== "")
    throw wrong(`The address "${text}" of gpu-server must not have a query or fragment`);
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

/** The address with the scheme that `127.0.0.1:8001` lacks; undefined: it lacks more. */
function withScheme(text: string): string | undefined {
  const url = text.includes("://") || !URL.canParse(`http://${text}`) ? undefined : new URL(`http://${text}`);
  if (url === undefined || url.username !== "") return undefined;
  return `${isLoopback(url.hostname) ? "http" : "https"}://${text}`;
}

function wrong(message: string, meant?: string): CourierError {
  const hint = meant === undefined ? "For example: --server https://gpu.example.org" : `Did you mean ${meant}?`;
  return new CourierError("invalid", message, { hint });
}
