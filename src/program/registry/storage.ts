// Where a registry may send a client for the bytes of a model: to a storage of its own, or to a network that delivers it.
import { lookup } from "node:dns/promises";
import type { AllowedRegistries } from "./allowed_registries.ts";
import { isInternalAddress } from "./internal_address.ts";

export interface StorageOptions {
  readonly registries: Pick<AllowedRegistries, "names">;
  /** Every address of a host. */
  readonly addressesOf?: ((hostname: string) => Promise<readonly string[]>) | undefined;
}

/**
 * Registries keep blobs elsewhere, and those hosts change: nobody could name them all. The bytes are verified by their digest, so
 * the remaining risk is a request to a service inside the network. So a host may be any one outside of it, and inside only
 * one that the operator named, or the registry's own.
 */
export class Storage {
  readonly #registries: StorageOptions["registries"];
  readonly #addressesOf: NonNullable<StorageOptions["addressesOf"]>;

  constructor({ registries, addressesOf = resolve }: StorageOptions) {
    this.#registries = registries;
    this.#addressesOf = addressesOf;
  }

  /**
   * Whether a blob of this registry may come from there. A name server that answers otherwise a moment later gains nothing: what
   * answers there must show a certificate for the name, before it is asked for anything.
   */
  async mayHave(registry: URL, next: URL): Promise<boolean> {
    if (this.#registries.names(next) || next.hostname === registry.hostname) return true;
    if (next.protocol !== "https:" || isInternalAddress(next.hostname)) return false;
    return !(await this.#addressesOf(next.hostname)).some(isInternalAddress);
  }
}

/** None where no name server knows it: a proxy may. */
async function resolve(hostname: string): Promise<readonly string[]> {
  try {
    return (await lookup(hostname.replace(/^\[|\]$/g, ""), { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}
