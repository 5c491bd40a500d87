// One POST to the receiver of a webhook: bounded, without proxy or redirect, and to the address that was checked.

import { lookup } from "node:dns/promises";
import { isIP, isIPv6 } from "node:net";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { VERSION } from "../../../program/flags.ts";
import { refusal } from "./addresses.ts";

export interface Request {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Reply {
  readonly status: number;
  readonly retryAfter: string | null;
}

/** Never longer than some seconds. @throws CourierError `unavailable` without a reply */
export type Post = (request: Request, signal: AbortSignal) => Promise<Reply>;

/** The addresses of a host's name. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface PostOptions {
  /** The certificates to trust instead of the usual ones, as PEM; null: the usual ones. */
  readonly ca: string | null;
  readonly timeoutMs?: number;
  readonly resolve?: Resolve;
}

/** As the standard recommends. */
const TIMEOUT_MS = 15_000;
/** The addresses that are tried. */
const MAX_ADDRESSES = 4;
/** Nothing was sent yet. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EADDRNOTAVAIL",
]);

export function openPost({ ca, timeoutMs = TIMEOUT_MS, resolve = allAddresses }: PostOptions): Post {
  return async (request, signal) => {
    const late = AbortSignal.timeout(timeoutMs);
    const stop = AbortSignal.any([signal, late]);
    try {
      const addresses = await checkedAddresses(request.url, async (name) => await beforeAbort(resolve(name), stop));
      return await postToFirst(request, addresses, { ca, signal: stop });
    } catch (error) {
      if (error instanceof CourierError) throw error;
      throw unavailable(request.url, late.aborted ? `does not answer within ${timeoutMs / 1000} s` : reasonOf(error));
    }
  };
}

/** All of them are checked: a name with one address inside and one outside is an attack, or an error to fix. */
async function checkedAddresses({ protocol, hostname }: URL, resolve: Resolve): Promise<readonly string[]> {
  const host = hostname.replace(/^\[|\]$/g, "");
  const addresses = isIP(host) === 0 ? await resolve(host) : [host];
  for (const address of addresses) {
    const refused = refusal(address, protocol === "https:");
    if (refused !== null)
      throw new CourierError("forbidden", `Nothing is sent to ${host}: ${refused}`, {
        hint: "Use a receiver with another address, and https:",
      });
  }
  return addresses.slice(0, MAX_ADDRESSES);
}

interface Connecting {
  readonly ca: string | null;
  readonly signal: AbortSignal;
}

async function postToFirst(request: Request, addresses: readonly string[], options: Connecting): Promise<Reply> {
  for (const address of addresses.slice(0, -1)) {
    try {
      return await postTo(request, address, options);
    } catch (error) {
      if (!NOT_CONNECTED.has(systemCode(error) ?? "")) throw error;
    }
  }
  return await postTo(request, addresses.at(-1) ?? "", options);
}

/** Connects to `address`; everything else is as for the URL's host, also what its certificate must name. */
async function postTo({ url, headers, body }: Request, address: string, { ca, signal }: Connecting): Promise<Reply> {
  const to = new URL(url);
  to.hostname = isIPv6(address) ? `[${address}]` : address;
  const isNamed = isIP(url.hostname.replace(/^\[|\]$/g, "")) === 0;
  const tls = { ...(ca === null ? {} : { ca }), ...(isNamed ? { serverName: url.hostname } : {}) };
  const response = await fetch(to, {
    method: "POST",
    headers: {
      host: url.host,
      "content-type": "application/json",
      "user-agent": `gpu-server/${VERSION}`,
      "accept-encoding": "identity",
      ...headers,
    },
    body,
    signal,
    redirect: "manual",
    // A kept connection would be to an address that was checked long ago.
    keepalive: false,
    // Bun asks a proxy of the environment even for 127.0.0.1: it would connect to an address that nobody checked.
    proxy: false,
    ...(url.protocol === "https:" ? { tls } : {}),
  });
  // Only the status counts. Otherwise a receiver could send without end.
  await response.body?.cancel();
  return { status: response.status, retryAfter: response.headers.get("retry-after") };
}

async function allAddresses(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

/** A resolver may take longer than anybody waits. */
async function beforeAbort<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(new Error("Aborted"));
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function unavailable({ host }: URL, reason: string): CourierError {
  return new CourierError("unavailable", `${host} ${reason}`);
}

/** The text of a failure may quote the URL: only its code is shown. */
function reasonOf(error: unknown): string {
  return `cannot be reached: ${systemCode(error) ?? "the connection ended early"}`;
}
