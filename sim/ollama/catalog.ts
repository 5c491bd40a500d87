// The models that the simulated registries offer: manifests without any content.
import { type Manifest, type ModelSpec, makeManifest } from "./manifest.ts";
import { DEFAULT_HOST, type Name, nameKey } from "./name.ts";

/** Small models, and those of gpu-server's built-in catalog, with the sizes of real ones. */
export const DEFAULT_CATALOGUE: readonly ModelSpec[] = [
  { name: "gemma3:270m", layers: [291_538_112, 358, 8_432], details: detailsOf("gemma3", "268.10M", "Q8_0") },
  { name: "all-minilm:latest", layers: [45_949_216, 11_357, 16], details: detailsOf("bert", "23M", "F16") },
  { name: "llama3.2:1b", layers: [1_321_082_688, 1_429, 7_711], details: detailsOf("llama", "1.2B", "Q8_0") },
  { name: "phi4:latest", layers: [9_053_114_176, 1_484, 1_076], details: detailsOf("phi3", "14.7B", "Q4_K_M") },
  { name: "gemma3:4b", layers: [3_338_801_804, 358, 8_432], details: detailsOf("gemma3", "4.3B", "Q4_K_M") },
  { name: "gemma3:12b", layers: [8_149_180_896, 358, 8_432], details: detailsOf("gemma3", "12.2B", "Q4_K_M") },
  { name: "gemma3:27b", layers: [17_396_925_664, 358, 8_432], details: detailsOf("gemma3", "27.4B", "Q4_K_M") },
  { name: "llama3.2:3b", layers: [2_019_377_376, 1_429, 7_711], details: detailsOf("llama", "3.2B", "Q4_K_M") },
  { name: "llama3.1:8b", layers: [4_920_738_944, 1_482, 12_320], details: detailsOf("llama", "8.0B", "Q4_K_M") },
  { name: "llama3.2-vision:11b", layers: [7_816_575_840, 269, 7_711], details: detailsOf("mllama", "10.7B", "Q4_K_M") },
  { name: "qwen2.5vl:7b", layers: [5_969_233_472, 487, 11_353], details: detailsOf("qwen25vl", "8.3B", "Q4_K_M") },
  { name: "qwen3:8b", layers: [5_225_374_496, 1_723, 11_338], details: detailsOf("qwen3", "8.2B", "Q4_K_M") },
  { name: "deepseek-r1:8b", layers: [5_225_373_760, 556, 1_065], details: detailsOf("qwen3", "8.2B", "Q4_K_M") },
  { name: "mistral:7b", layers: [4_372_811_936, 801, 11_356], details: detailsOf("llama", "7.2B", "Q4_K_M") },
  { name: "gpt-oss:20b", layers: [13_793_422_144, 7_357, 11_353], details: detailsOf("gptoss", "20.9B", "MXFP4") },
  { name: "nomic-embed-text:latest", layers: [274_290_656, 11_357], details: detailsOf("nomic-bert", "137M", "F16") },
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
