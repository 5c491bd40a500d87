// The addresses that the platform's login may be asked at: over TLS, or near enough that nobody else reads the tokens.
import { BlockList, isIPv6 } from "node:net";
import { CourierError } from "../../../base/errors.ts";

const LOOPBACK = ranges("127.0.0.0/8 ::1/128");
/** RFC 1918, carrier-grade and link-local ones, and the same of IPv6. `BlockList` judges `::ffff:10.0.0.1` by its IPv4 address. */
const PRIVATE = ranges("10.0.0.0/8 100.64.0.0/10 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 fc00::/7 fe80::/10");

export interface AddressRules {
  /** The option that names the address. */
  readonly option: string;
  /** The option that permits plain HTTP to a private address; null: nothing does. */
  readonly plain: { readonly option: string; readonly isGiven: boolean } | null;
}

/** @throws CourierError `invalid` for what is no address of HTTP, or one where others could read or forge what is sent */
export function loginAddress(text: string, { option, plain }: AddressRules): URL {
  const url = URL.parse(text);
  if (url === null || !["https:", "http:"].includes(url.protocol))
    throw new CourierError("invalid", `${option}: this is not an HTTP address`, {
      hint: "Give one such as https://platform.example.org/users/me",
    });
  if (url.username !== "" || url.password !== "")
    throw new CourierError("invalid", `${option}: the address contains a password`, {
      hint: "Leave it out: it would be in logs and lists of processes",
    });
  if (url.protocol === "https:" || isLoopback(url)) return url;
  if (plain?.isGiven === true && isIn(PRIVATE, url)) return url;
  const also = plain === null ? "" : `, or give a private address as a number together with ${plain.option}`;
  throw new CourierError("invalid", `${option}: ${url.host} would be asked without TLS`, { hint: `Use https:${also}` });
}

function isLoopback(url: URL): boolean {
  return url.hostname === "localhost" || isIn(LOOPBACK, url);
}

/** A name is in no range: what it resolves to may change. */
function isIn(list: BlockList, { hostname }: URL): boolean {
  const address = hostname.replace(/^\[|\]$/g, "");
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

function ranges(text: string): BlockList {
  const list = new BlockList();
  for (const range of text.split(" ")) {
    const [network = "", bits = ""] = range.split("/");
    list.addSubnet(network, Number(bits), isIPv6(network) ? "ipv6" : "ipv4");
  }
  return list;
}
