// The registries that pulls may use, as `--allow-registry` and `--insecure-registry` name them.
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { CourierError } from "../../base/errors.ts";
import { parseModelName } from "../../base/model_name.ts";
import { ANY_REGISTRY, InsecureRegistries, registryHost } from "./registry_host.ts";

export interface AllowedRegistriesOptions {
  readonly agent: string;
  /** `host[:port]` of each; `*`: every registry. */
  readonly allowed: readonly string[];
  /** `host:port` of those that may be reached without TLS: they are allowed as well. */
  readonly insecure: readonly string[];
}

const MAX_NAMED = 10;

export class AllowedRegistries {
  /** Those that may be reached without TLS. */
  readonly insecure: InsecureRegistries;
  readonly #agent: string;
  readonly #hosts: ReadonlySet<string>;
  readonly #names: readonly string[];

  constructor({ agent, allowed, insecure }: AllowedRegistriesOptions) {
    this.insecure = new InsecureRegistries(insecure);
    this.#agent = agent;
    this.#hosts = new Set(allowed.map((host) => registryHost(host, "https") ?? host));
    this.#names = [...new Set([...allowed, ...insecure])];
  }

  /** Whether the registry of a model is allowed. @param model in Ollama's form */
  allows(model: string): boolean {
    return this.#allowsAny || this.#isNamed(parseModelName(model).host);
  }

  /**
   * @param model in Ollama's form
   * @throws CourierError `forbidden`, naming what is allowed, when its registry is not
   */
  requireAllowed(model: string): void {
    if (this.allows(model)) return;
    const { host } = parseModelName(model);
    const more = this.#names.length - MAX_NAMED;
    const named = `${this.#names.slice(0, MAX_NAMED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    throw new CourierError(
      "forbidden",
      `Cannot pull ${JSON.stringify(model)} on ${this.#agent}: pulls are allowed there from ${named} only`,
      { hint: `The administrator of that box can allow ${host} with --allow-registry` },
    );
  }

  /**
   * Whether a registry that is allowed may send the agent on to this address. Where every registry is allowed, that leaves
   * out addresses inside the network: the operator did not name those.
   */
  allowsRedirect({ host, hostname }: URL): boolean {
    return this.#isNamed(host) || (this.#allowsAny && !isInternal(hostname));
  }

  get #allowsAny(): boolean {
    return this.#hosts.has(ANY_REGISTRY);
  }

  #isNamed(host: string): boolean {
    return this.#hosts.has(registryHost(host, "https") ?? "") || this.insecure.has(host);
  }
}

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

/** @param hostname as `URL` gives it: an IPv4 address has its usual form there, whatever was written */
function isInternal(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  if (isIPv4(name)) return INTERNAL.check(name, "ipv4");
  if (isIPv6(name)) return INTERNAL.check(name, "ipv6");
  return name === "localhost" || name.endsWith(".localhost");
}
