// Whose X-Forwarded-For is believed: proxies that the operator names.
import { BlockList, isIP, isIPv6 } from "node:net";

const MAX_HEADER_CHARACTERS = 1_000;

export class TrustedProxies {
  readonly #ranges = new BlockList();

  /** @param ranges each as `isRange()` accepts it */
  constructor(ranges: readonly string[]) {
    for (const range of ranges) {
      const [network = "", bits] = range.split("/");
      const kind = isIPv6(network) ? "ipv6" : "ipv4";
      if (bits === undefined) this.#ranges.addAddress(network, kind);
      else this.#ranges.addSubnet(network, Number(bits), kind);
    }
  }

  /**
   * The address that a request came from: each proxy adds the one that it was called from at the end of the header, and what
   * stands before the first address that is no proxy's may be invented.
   * @param peer of the connection
   */
  clientOf(peer: string, forwardedFor: string | undefined): string {
    let client = peer;
    const hops = forwardedFor?.slice(-MAX_HEADER_CHARACTERS).split(",") ?? [];
    while (this.#has(client)) {
      const hop = addressIn(hops.pop() ?? "");
      if (hop === undefined) break;
      client = hop;
    }
    return client;
  }

  #has(address: string): boolean {
    return isIP(address) !== 0 && this.#ranges.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }
}

/** An address, or one with the number of bits of its network. */
export function isRange(text: string): boolean {
  const [network = "", bits, ...rest] = text.split("/");
  if (isIP(network) === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv6(network) ? 128 : 32));
}

/** In one form of a header: some proxies add a port, and brackets around an address of IPv6. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim();
  const address = /^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return isIP(address) === 0 ? undefined : address;
}
