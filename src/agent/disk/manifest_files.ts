// The manifests in a models folder: `manifests/<host>/<namespace>/<model>/<tag>`, one file for each model.
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { formatModelName, type ModelName, parseModelName } from "../../base/model_name.ts";
import {
  type Layer,
  listedDigests,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseManifest,
} from "../../program/registry/manifest.ts";
import { absent } from "./blob_files.ts";

/** A model as the disk has it: `name` in Ollama's form. */
export interface InstalledModel {
  readonly name: string;
  readonly layers: readonly Layer[];
  /** What Ollama may list as its digest, in hex. */
  readonly digests: readonly string[];
}

/** Every model whose manifest can be read, as Ollama too lists only those. @throws system errors, such as `ENOENT` */
export async function* installedModels(modelsDir: string): AsyncGenerator<InstalledModel> {
  const manifests = join(modelsDir, "manifests");
  for (const host of await entries(manifests, "folders")) {
    for (const namespace of await below(join(manifests, host), "folders")) {
      for (const model of await below(join(manifests, host, namespace), "folders")) {
        for (const tag of await below(join(manifests, host, namespace, model), "files")) {
          const name = nameOf(`${host}/${namespace}/${model}:${tag}`);
          const installed = name === null ? null : await installedModel(modelsDir, name);
          if (installed !== null) yield installed;
        }
      }
    }
  }
}

/** One model; null when it has no manifest there that can be read. @throws system errors */
export async function installedModel(modelsDir: string, name: ModelName): Promise<InstalledModel | null> {
  const { host, namespace, model, tag } = name;
  const found = await readManifest(join(modelsDir, "manifests", host, namespace, model, tag));
  if (found === null) return null;
  return { name: formatModelName(name), layers: found.manifest.layers, digests: found.digests };
}

/** What one file has, with its digests; null when it is gone or is no manifest. @throws system errors */
export async function readManifest(path: string): Promise<{ manifest: Manifest; digests: readonly string[] } | null> {
  const file = await absent(open(path, "r"));
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    if (size > MAX_MANIFEST_BYTES) return null;
    const text = await file.readFile("utf8");
    const manifest = parseManifest(text);
    return manifest === null ? null : { manifest, digests: listedDigests(text) };
  } finally {
    await file.close();
  }
}

async function entries(dir: string, kind: "folders" | "files"): Promise<string[]> {
  const found = await readdir(dir, { withFileTypes: true });
  return found.filter((entry) => (kind === "folders" ? entry.isDirectory() : entry.isFile())).map(({ name }) => name);
}

/** None in a folder that is gone by now: Ollama removes those that it empties. */
async function below(dir: string, kind: "folders" | "files"): Promise<string[]> {
  return (await absent(entries(dir, kind))) ?? [];
}

/** Null for text that is not a model name. */
export function nameOf(text: string): ModelName | null {
  try {
    return parseModelName(text);
  } catch {
    return null;
  }
}
