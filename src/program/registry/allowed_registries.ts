// The registries that pulls may use, as `--allow-registry` and `--insecure-registry` name them.
import { CourierError } from "../../base/errors.ts";
import { parseModelName } from "../../base/model_name.ts";
import { isInternalAddress } from "./internal_address.ts";
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
    return this.#isNamed(host) || (this.#allowsAny && !isInternalAddress(hostname));
  }

  /** Whether the operator named this very host, wherever it is. */
  names({ host }: URL): boolean {
    return this.#isNamed(host);
  }

  get #allowsAny(): boolean {
    return this.#hosts.has(ANY_REGISTRY);
  }

  #isNamed(host: string): boolean {
    return this.#hosts.has(registryHost(host, "https") ?? "") || this.insecure.has(host);
  }
}
