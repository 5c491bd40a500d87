// Which Host headers the listener without tokens serves. The owner of a web page could let the page's name lead to this
// address (DNS rebinding): a browser then sends requests here as if the page came from here.
import type { MiddlewareHandler } from "hono";
import { CourierError } from "../../../base/errors.ts";
import { type Env, peerOf } from "../env.ts";
import { isLoopback } from "../listen.ts";
import type { RefusedHosts } from "./refused_hosts.ts";

/** Listening on all addresses. */
const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "[::]"]);
const ADDRESS = /^(?:\[.+\]|\d+(?:\.\d+){3})$/;
const MAX_SHOWN = 80;

export class TrustedHosts {
  readonly #names: ReadonlySet<string>;
  readonly #isAnyAddress: boolean;
  readonly #isLoopback: boolean;

  /**
   * @param address the one that is listened on
   * @param names more names, in the form that `hostName()` returns
   */
  constructor(address: string, names: readonly string[]) {
    const own = hostName(address.includes(":") ? `[${address}]` : address) ?? address;
    this.#isAnyAddress = ANY_ADDRESS.has(own);
    this.#isLoopback = isLoopback(address);
    this.#names = new Set(["localhost", own, ...names]);
  }

  /** @param host a Host header. Its port does not count: a tunnel has another, and a rebound name can have this one */
  has(host: string): boolean {
    const name = hostName(host);
    if (name === undefined) return false;
    if (this.#names.has(name)) return true;
    // A page whose name is an address was served from that address, and all of these lead to this machine.
    return (this.#isAnyAddress && ADDRESS.test(name)) || (this.#isLoopback && isLoopback(unbracketed(name)));
  }
}

/** The name or address in `host[:port]`, in one form of several; undefined: it is not of this form. */
export function hostName(host: string): string | undefined {
  if (/[/?#@\\\s]/.test(host)) return undefined;
  return URL.parse(`http://${host}`)?.hostname.replace(/\.$/, "");
}

/** Refuses requests for other hosts. HTTP/1.0 without a Host is served: every browser sends one. */
export function requireTrustedHost(hosts: TrustedHosts, refused: RefusedHosts): MiddlewareHandler<Env> {
  return async (context, next) => {
    const host = context.req.header("host");
    if (host !== undefined && !hosts.has(host)) {
      const shown = host.slice(0, MAX_SHOWN);
      refused.add(shown, peerOf(context));
      throw new CourierError("forbidden", `This listener does not serve the host ${JSON.stringify(shown)}`, {
        hint: "If clients call it by this name, start gpu-server with --trusted-host NAME",
      });
    }
    await next();
  };
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
