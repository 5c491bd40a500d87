// Which path a request asks for, and whether its Host header is usable.
import type { MiddlewareHandler } from "hono";
import { getPath } from "hono/utils/url";
import { CourierError } from "../../base/errors.ts";

/** RFC 3986, 3.2.2 and 3.2.3: an address in brackets or a name, then perhaps a port. Two Host headers arrive as `a, b`. */
const HOST = /^(?:(\[[0-9A-Fa-f:.]+\])|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::(\d*))?$/;
const MAX_PORT = 65_535;

/** Where each box has its Ollama. Its clients join this and their own paths as they like: `/agents/gpu-1//api/tags/`. */
export const OLLAMA_PREFIX = "/agents/";

/** Where boxes without the share find the mirror's models. */
export const MIRROR_PREFIX = "/mirror/";

/**
 * The path of a request, percent-decoded as hono does it.
 *
 * Bun puts the Host header in front of the request target. Without a usable one `request.url` is the target alone, and
 * hono's `getPath` would cut off as many characters as a scheme and a host have.
 */
export function requestPath(request: Request): string {
  const path = targetOf(request);
  return path.startsWith(OLLAMA_PREFIX) ? tidy(path) : path;
}

function targetOf(request: Request): string {
  const { url } = request;
  if (url.startsWith("/")) return getPath(new Request(`http://localhost${url}`));
  // The target of CONNECT is a host and a port: it has no path, and is no route.
  return /^https?:\/\//.test(url) ? getPath(request) : url;
}

/**
 * Refuses a request with an invalid Host header, or with two (RFC 9112, 3.2). Without any it is HTTP/1.0, which needs none:
 * Bun itself answers 400 to HTTP/1.1 without one.
 */
export const requireValidHost: MiddlewareHandler = async (context, next) => {
  const host = context.req.header("host");
  if (host !== undefined && !isValidHost(host))
    throw new CourierError("invalid", `Invalid Host header: ${JSON.stringify(host.slice(0, 80))}`, {
      hint: "Send one Host header: a name or an address, and a port if it is not 80",
    });
  await next();
};

/** Without empty parts. */
function tidy(path: string): string {
  return path.replaceAll(/\/{2,}/g, "/").replace(/\/$/, "");
}

function isValidHost(host: string): boolean {
  const parts = HOST.exec(host);
  if (parts === null || Number(parts[2] ?? 0) > MAX_PORT) return false;
  return parts[1] === undefined || URL.canParse(`http://${parts[1]}`);
}
