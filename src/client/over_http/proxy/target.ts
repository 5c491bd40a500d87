// The path and the query of a request, as they follow the address of one box. Pure; imports one type.
import type { Refusal } from "./admission.ts";

/** A proxy or a server may decode a path once more than the one before it. */
const MAX_DECODINGS = 4;

/**
 * @param prefix the path below which the port has something, without a slash at its end; empty: all of it
 * @returns begins with one slash
 */
export function targetOf({ pathname, search }: Pick<URL, "pathname" | "search">, prefix: string): string | Refusal {
  if (pathname !== prefix && !pathname.startsWith(`${prefix}/`))
    return { status: 404, reason: "There is nothing at this path of this port" };
  const path = pathname.slice(prefix.length).replaceAll(/\/{2,}/g, "/");
  if (leadsElsewhere(path)) return { status: 403, reason: "The path of the request leads out of the box's own" };
  return `${path === "" ? "/" : path}${search}`;
}

/** Whether a reader of the path may take a segment of it for the folder above. A URL has no plain `..` any more. */
function leadsElsewhere(path: string): boolean {
  let decoded = path;
  for (let count = 0; count < MAX_DECODINGS; count++) {
    if (decoded.split(/[/\\]/).some((segment) => /^\.{1,2}(?:;|$)/.test(segment)) || decoded.includes("\0"))
      return true;
    let next: string;
    try {
      next = decodeURIComponent(decoded);
    } catch {
      // The path as it came must be decodable. Decoded once, it may hold a % that encodes nothing.
      return count === 0;
    }
    if (next === decoded) return false;
    decoded = next;
  }
  return true;
}
