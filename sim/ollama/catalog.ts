// The models that the simulated registries offer: manifests without any content.
import { type Manifest, type ModelSpec, makeManifest } from "./manifest.ts";
import { DEFAULT_HOST, type Name, nameKey } from "./name.ts";

/** Small models with the sizes of real ones. */
export const DEFAULT_CATALOGUE: readonly ModelSpec[] = [
  { name: "gemma3:270m", layers: [291_538_112, 358, 8_432], details: detailsOf("gemma3", "268.10M", "Q8_0") },
  { name: "all-minilm:latest", layers: [45_949_216, 11_357, 16], details: detailsOf("bert", "23M", "F16") },
  { name: "llama3.2:1b", layers: [1_321_082_688, 1_429, 7_711], details: detailsOf("llama", "1.2B", "Q8_0") },
  { name: "phi4:latest", layers: [9_053_114_176, 1_484, 1_076], details: detailsOf("phi3", "14.7B", "Q4_K_M") },
];

/** The registries that can be reached, and the models in them. */
export class Catalog {
  readonly #manifests = new Map<string, Manifest>();

  constructor(specs: readonly ModelSpec[]) {
    for (const spec of specs) this.offer(spec);
  }

  /** Adds a model, or replaces the one with its name. */
  offer(spec: ModelSpec): void {
    const manifest = makeManifest(spec);
    this.#manifests.set(nameKey(manifest.name), manifest);
  }

  find(name: Name): Manifest | undefined {
    return this.#manifests.get(nameKey(name));
  }

  hasHost(host: string): boolean {
    return host === DEFAULT_HOST || [...this.#manifests.values()].some(({ name }) => name.host === host);
  }
}

function detailsOf(family: string, parameter_size: string, quantization_level: string) {
  return { family, families: [family], parameter_size, quantization_level };
}
