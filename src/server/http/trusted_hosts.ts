// Which Host headers the listener without tokens serves. The owner of a web page could let the page's name lead to this
// address (DNS rebinding): a browser then sends requests here as if the page came from here.
import type { MiddlewareHandler } from "hono";
import { CourierError } from "../../base/errors.ts";

/** Listening on all addresses. */
const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "[::]"]);
const ADDRESS = /^(?:\[.+\]|\d+(?:\.\d+){3})$/;

export class TrustedHosts {
  readonly #names: ReadonlySet<string>;
  readonly #isAnyAddress: boolean;

  /**
   * @param address the one that is listened on
   * @param names more names, in the form that `hostName()` returns
   */
  constructor(address: string, names: readonly string[]) {
    const own = hostName(address.includes(":") ? `[${address}]` : address) ?? address;
    this.#isAnyAddress = ANY_ADDRESS.has(own);
    this.#names = new Set(["localhost", own, ...names]);
  }

  /** @param host a Host header. Its port does not count: a tunnel has another, and a rebound name can have this one */
  has(host: string): boolean {
    const name = hostName(host);
    if (name === undefined) return false;
    // A page whose name is an address was served from that address.
    return this.#names.has(name) || (this.#isAnyAddress && ADDRESS.test(name));
  }
}

/** The name or address in `host[:port]`, in one form of several; undefined: it is not of this form. */
export function hostName(host: string): string | undefined {
  if (/[/?#@\\\s]/.test(host)) return undefined;
  return URL.parse(`http://${host}`)?.hostname.replace(/\.$/, "");
}

/** Refuses requests for other hosts. HTTP/1.0 without a Host is served: every browser sends one. */
export function requireTrustedHost(hosts: TrustedHosts): MiddlewareHandler {
  return async (context, next) => {
    const host = context.req.header("host");
    if (host !== undefined && !hosts.has(host))
      throw new CourierError(
        "forbidden",
        `This listener does not serve the host ${JSON.stringify(host.slice(0, 80))}`,
        {
          hint: "If clients call it by this name, start gpu-server with --trusted-host NAME",
        },
      );
    await next();
  };
}
