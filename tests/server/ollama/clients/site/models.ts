// The models of the boxes in these tests.
import type { ModelSpec } from "#sim/ollama/manifest.ts";
import { type SimulatedOllama, startSimulatedOllama } from "#sim/ollama/ollama.ts";

/** Installed on a box; as a real Ollama shows the one that `createSample()` makes. */
export const SAMPLE: ModelSpec = {
  name: "sample:latest",
  layers: [369, 32],
  details: { parent_model: "sample.gguf", context_length: 256, embedding_length: 32 },
  capabilities: ["completion"],
};
/** Can be pulled, which takes about two seconds: boxes show progress a few times a second. */
export const SMALL: ModelSpec = { name: "small:latest", layers: [4_000_000, 400] };
/** Can be pulled, which takes long enough to be interrupted. */
export const LARGE: ModelSpec = { name: "large:latest", layers: [16_000_000] };
const BYTES_PER_SECOND = 2_000_000;

/** The Ollama of a box. */
export async function startBoxOllama(): Promise<SimulatedOllama> {
  return await startSimulatedOllama({ catalog: [SMALL, LARGE], installed: [SAMPLE], bytesPerSecond: BYTES_PER_SECOND });
}
