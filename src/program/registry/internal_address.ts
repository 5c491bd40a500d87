// Which addresses are inside a network: a registry must not send us on to them unless an operator named them.
import { BlockList, isIPv4, isIPv6 } from "node:net";

/**
 * What IANA's registries of special addresses keep inside a network, multicast, and IPv6 ranges that lead to an IPv4 address (of
 * old: 6to4, Teredo, NAT64). `BlockList` judges a mapped `::ffff:10.0.0.1` by its IPv4 address.
 */
const INTERNAL_IPV4 =
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/3";
const INTERNAL_IPV6 =
  "::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/32 2002::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8";
const INTERNAL = new BlockList();
for (const range of `${INTERNAL_IPV4} ${INTERNAL_IPV6}`.split(" ")) {
  const [network = "", bits = ""] = range.split("/");
  INTERNAL.addSubnet(network, Number(bits), isIPv6(network) ? "ipv6" : "ipv4");
}

/**
 * Whether an address is inside a network, or is this machine.
 * @param hostname as `URL` gives it: an IPv4 address has its usual form there, whatever was written. A name
 * other than `localhost` is not looked up here
 */
export function isInternalAddress(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  if (isIPv4(name)) return INTERNAL.check(name, "ipv4");
  if (isIPv6(name)) return INTERNAL.check(name, "ipv6");
  return name === "localhost" || name.endsWith(".localhost");
}
