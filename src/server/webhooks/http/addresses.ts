// Where webhooks may go: never to link-local addresses, where the metadata of clouds is, and without TLS only to near ones.
import { BlockList, isIP, isIPv6 } from "node:net";

/**
 * Link-local and unspecified addresses, multicast, and where clouds serve metadata and credentials outside of those (Alibaba,
 * Azure, AWS and Google over IPv6). Of IPv6 also the ranges that lead to an IPv4 address in old ways: compatible, translated,
 * local NAT64, Teredo and 6to4.
 */
const REFUSED = ranges(
  "0.0.0.0/8 169.254.0.0/16 192.0.0.0/24 100.100.100.200/32 168.63.129.16/32 224.0.0.0/3",
  "::/128 ::/96 ::ffff:0:0:0/96 64:ff9b:1::/48 2001::/32 2002::/16 fe80::/10 fec0::/10 ff00::/8 fd00:ec2::/32 fd20:ce::/32",
);
/** This machine and the networks of RFC 1918, RFC 6598 and RFC 4193. */
const NEAR = ranges("127.0.0.0/8 10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16", "::1/128 fc00::/7");
const LOOPBACK = "::1";
/** IPv4-mapped, and NAT64 (RFC 6052), as `URL` writes them: the last two groups are the IPv4 address. */
const HAS_IPV4 = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/;

/** Why nothing may be sent to an address; null: something may. @param isEncrypted whether it would go over TLS */
export function refusal(address: string, isEncrypted: boolean): string | null {
  const plain = plainAddress(address);
  if (plain === undefined) return `${address} is no address`;
  if (plain !== LOOPBACK && isIn(REFUSED, plain))
    return `${address} is link-local, or an address for metadata or multicast`;
  if (!isEncrypted && !isIn(NEAR, plain)) return `${address} would be reached without TLS`;
  return null;
}

/** In its usual form; IPv6 that stands for IPv4 becomes that. Undefined for what is no address. */
function plainAddress(address: string): string | undefined {
  const unzoned = address.replace(/%.*$/, "");
  if (isIP(unzoned) === 0) return undefined;
  if (!isIPv6(unzoned)) return unzoned;
  const usual = URL.parse(`http://[${unzoned}]/`)?.hostname.slice(1, -1);
  const [, high = "0", low] = HAS_IPV4.exec(usual ?? "") ?? [];
  if (low === undefined) return usual;
  return [high, low].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]).join(".");
}

function isIn(list: BlockList, address: string): boolean {
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

function ranges(...texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of texts.join(" ").split(" ")) {
    const [network = "", bits = ""] = range.split("/");
    list.addSubnet(network, Number(bits), isIPv6(network) ? "ipv6" : "ipv4");
  }
  return list;
}
