// What every response gets: an id, a word on whether it may be kept, and gzip for clients that accept it.
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Context, MiddlewareHandler } from "hono";
import { accepts } from "hono/accepts";
import { requestId } from "hono/request-id";
import type { Env } from "./env.ts";

const MAX_ID_CHARACTERS = 64;
const MADE_CHARACTERS = 12;

/** `X-Request-Id`: the client's own if it is short and has only `A-Z a-z 0-9 _ - =`; otherwise a new one. */
export const identifyRequest: MiddlewareHandler = async (context, next) => {
  await identify(context, next);
  // What hono sets before is not in a response that hono did not make, such as one to a failed request.
  context.res.headers.set("x-request-id", context.get("requestId"));
};

const identify = requestId({
  limitLength: MAX_ID_CHARACTERS,
  generator: () => crypto.randomUUID().slice(-MADE_CHARACTERS),
});

/** No cache keeps a response without a `Cache-Control` of its own: most show the fleet, or why a request failed. */
export const keepNothing: MiddlewareHandler<Env> = async (context, next) => {
  await next();
  const { headers } = context.res;
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
};

/** A smaller one fits into a packet or two anyway. */
const MIN_BYTES = 1_024;
/** Takes 0.3 ms. */
const MAX_BYTES_AT_ONCE = 16 * 1_024;
const gzipped = promisify(gzip);
/** Of a large one: for 1.7 MB of metrics, level 6 takes 56 ms instead of 18 for 5 % less (Bun 1.4.5). */
const LEVEL = 3;
/** Never `text/event-stream`: an event must leave at once. */
const TYPES = /^(?:application\/(?:[\w.-]+\+)?json|text\/(?:html|css|javascript|plain))\b/;

/** Of bodies that are sent again and again: a list of 10,000 agents takes 20 ms. */
const compressed = new WeakMap<Uint8Array, Promise<Uint8Array<ArrayBuffer>>>();

/**
 * Not with hono's own middleware: it streams, so that responses have no length, and passes HEAD over. BREACH needs a secret
 * beside a text that an attacker chose: the only secret in a response, a ticket, is in one that is too small.
 */
export const compressResponse: MiddlewareHandler<Env> = async (context, next) => {
  await next();
  const { headers, status } = context.res;
  // RFC 9110, 15.4.5: a 304 has what the response that is kept has.
  if (status === 304) addVary(headers, "Accept-Encoding");
  if (!TYPES.test(headers.get("content-type") ?? "")) return;
  if (headers.get("cache-control")?.includes("no-transform") === true) return;
  // Lists say it already: this runs for each response.
  if (headers.get("vary")?.endsWith(", Accept-Encoding") !== true) addVary(headers, "Accept-Encoding");
  if (context.req.header("accept-encoding")?.includes("gzip") !== true) return;
  if (accepts(context, { header: "Accept-Encoding", supports: ["gzip"], default: "identity" }) !== "gzip") return;
  const shared = context.get("sharedBody");
  const bytes = shared ?? new Uint8Array(await context.res.arrayBuffer());
  const isSmall = bytes.byteLength < MIN_BYTES;
  if (!isSmall) headers.set("content-encoding", "gzip");
  if (!isSmall) replaceBody(context, await (shared === undefined ? compress(bytes) : compressOnce(shared)));
  else if (shared === undefined) replaceBody(context, bytes);
};

/** Adds a name to `Vary`, which then has each once. */
export function addVary(headers: Headers, added: string): void {
  const names = [...(headers.get("vary") ?? "").split(","), added].map((name) => name.trim());
  headers.set("vary", [...new Set(names.filter((name) => name !== ""))].join(", "));
}

/** Looks at no body: one that was looked at is a stream from then on, which takes Bun far longer to send. */
function replaceBody(context: Context, bytes: Uint8Array<ArrayBuffer>): void {
  const { status, headers } = context.res;
  context.res = undefined;
  context.res = new Response(bytes, { status, headers });
}

async function compressOnce(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const making = compressed.get(bytes) ?? compress(bytes);
  compressed.set(bytes, making);
  return await making;
}

/** Small ones at once: less than a stream costs. Large ones beside the requests of others. */
async function compress(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return bytes.byteLength <= MAX_BYTES_AT_ONCE
    ? Bun.gzipSync(bytes)
    : new Uint8Array(await gzipped(bytes, { level: LEVEL }));
}
