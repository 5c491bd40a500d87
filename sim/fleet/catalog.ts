// The models that a large fleet has: 200 entries, with names and sizes as Ollama's library has them.
import type { Model } from "#src/protocol.ts";

export type CatalogModel = Pick<Model, "name" | "size" | "digest">;

const FAMILIES = [
  "llama3.1 llama3.2 llama3.3 qwen2.5 qwen3 gemma2 gemma3 mistral mixtral phi3",
  "phi4 deepseek-r1 codellama granite3.3 command-r starcoder2 olmo2 falcon3 gpt-oss smollm2",
].flatMap((line) => line.split(" "));

/** With the billions of bytes of each. */
const TAGS = {
  "1b": 0.8,
  "3b": 2,
  "8b": 4.9,
  "14b": 9.1,
  "32b": 20,
  "70b": 43,
  "8b-instruct-q8_0": 8.5,
  "14b-instruct-q8_0": 16,
  latest: 4.9,
} as const;

export const CATALOG: readonly CatalogModel[] = FAMILIES.flatMap((family, index) => [
  ...Object.entries(TAGS).map(([tag, billions]) => model(`${family}:${tag}`, billions * 1e9 + index)),
  // Some boxes still have an older version of the same name: a second entry in every list.
  model(`${family}:latest`, 4.7e9 + index),
]);

function model(name: string, bytes: number): CatalogModel {
  const size = Math.round(bytes);
  return { name, size, digest: new Bun.CryptoHasher("sha256").update(`${name} ${size}`).digest("hex") };
}
