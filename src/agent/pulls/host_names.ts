// Distinguishes a registry's host name that does not exist from a resolver that is out of order.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { systemCode } from "../../base/errors.ts";

/** Resolves when the name has an address; rejects as `dns.lookup` does. */
export type Resolve = (name: string) => Promise<unknown>;

/** A name that exists, for comparison: where it does not resolve either, nothing is known. */
const KNOWN_NAME = "registry.ollama.ai";

export class HostNames {
  readonly #resolve: Resolve;
  readonly #known: readonly string[];

  /** @param others `host:port` of further registries that this box uses */
  constructor(others: readonly string[] = [], resolve: Resolve = async (name) => await lookup(name)) {
    this.#known = [KNOWN_NAME, ...others.map(nameOf).filter((name) => !isLocalName(name))];
    this.#resolve = resolve;
  }

  /**
   * Whether the resolver denies this name while it finds another one. `EAI_AGAIN` and the like mean that no
   * resolver answered. Some resolvers deny every name while they are offline, hence the comparison. Never rejects.
   * @param host `host` or `host:port`
   */
  async isMissing(host: string): Promise<boolean> {
    const name = nameOf(host);
    if ((await this.#look(name)) !== "missing") return false;
    for (const known of this.#known) if (known !== name && (await this.#look(known)) === "exists") return true;
    return false;
  }

  async #look(name: string): Promise<"exists" | "missing" | "unknown"> {
    try {
      await this.#resolve(name);
      return "exists";
    } catch (error) {
      return systemCode(error)?.endsWith("ENOTFOUND") === true ? "missing" : "unknown";
    }
  }
}

/** Resolves without a resolver. */
function isLocalName(name: string): boolean {
  return name === "localhost" || isIP(name.replaceAll(/[[\]]/g, "")) !== 0;
}

function nameOf(host: string): string {
  return (URL.parse(`http://${host}`)?.hostname ?? host).toLowerCase();
}
