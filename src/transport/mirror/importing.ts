// Copies models into the mirror from a models folder of Ollama: for sites without internet, from a disk.
import { stat } from "node:fs/promises";
import { CourierError } from "../../base/errors.ts";
import { formatModelName, type ModelName } from "../../base/model_name.ts";
import type { Layer } from "../../program/registry/manifest.ts";
import { mirrorFailure } from "./failures.ts";
import { absent, HeldFolder } from "./held_folder.ts";
import { isHelperName } from "./helper_name.ts";
import { BLOBS, blobName, MANIFESTS } from "./layout.ts";
import { modelsIn } from "./listing.ts";
import type { Mirror, MirroredModel } from "./mirror.ts";
import { addBlob, addManifest } from "./writing.ts";

/** The result for one model: how many bytes were copied, or why it was not. */
export interface Imported {
  readonly name: ModelName;
  readonly bytes: number;
  readonly error: CourierError | null;
}

const CHUNK_BYTES = 1 << 20;

/**
 * Copies every model that is whole there, or those that are named; blobs that the mirror has are not copied again.
 * @param models in Ollama's form; empty: all of them
 * @throws CourierError `not_found` when the folder has no models, or a named one is not there
 */
export async function* importModels(
  mirror: Mirror,
  dir: string,
  models: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Imported> {
  await using source = await openSource(dir);
  const wanted = new Set(models.map((model) => model.toLowerCase()));
  const isNamed = wanted.size > 0;
  let count = 0;
  for await (const { name, model } of modelsIn(source)) {
    const shown = formatModelName(name);
    if (isHelperName(shown) || (isNamed && !wanted.delete(shown.toLowerCase()))) continue;
    count += 1;
    yield await importModel(mirror, source, name, model, signal);
  }
  const [lost] = wanted;
  if (lost !== undefined) throw new CourierError("not_found", `No model ${lost} in ${dir}`);
  if (count === 0) throw noModels(dir);
}

async function importModel(
  mirror: Mirror,
  source: HeldFolder,
  name: ModelName,
  model: MirroredModel | null,
  signal: AbortSignal,
): Promise<Imported> {
  let bytes = 0;
  try {
    if (model === null) throw new CourierError("conflict", `The manifest of ${formatModelName(name)} cannot be read`);
    for (const layer of await mirror.missing(model.manifest.layers)) {
      await addBlob(mirror, layer, contentOf(source, layer, signal));
      bytes += layer.bytes;
    }
    await addManifest(mirror, name, model.text);
    return { name, bytes, error: null };
  } catch (error) {
    const failure = error instanceof CourierError ? error : mirrorFailure("read the models", source.path, error);
    // Nothing that follows would fit or be wanted either.
    if (failure.code === "cancelled" || failure.code === "exhausted") throw failure;
    return { name, bytes, error: failure };
  }
}

async function* contentOf(
  source: HeldFolder,
  { digest, bytes }: Layer,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  await using blobs = await source.folder(BLOBS);
  // Ollama before 0.1.27 wrote a colon.
  const found = (await blobs?.file(blobName(digest))) ?? (await blobs?.file(digest)) ?? null;
  if (found === null) throw new CourierError("conflict", `Its blob ${digest.slice(0, 19)} is not there`);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, bytes + 1));
    for (;;) {
      if (signal.aborted) throw new CourierError("cancelled", "Cancelled");
      const { bytesRead } = await found.handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await found.handle.close();
  }
}

/** A models folder, or the folder that has it: `/usr/share/ollama` and `~/.ollama` have `.ollama/models` and `models`. */
async function openSource(dir: string): Promise<HeldFolder> {
  try {
    if ((await absent(stat(dir))) === null) throw new CourierError("not_found", `There is no folder ${dir}`);
    await using given = await HeldFolder.openRoot(dir);
    for (const below of [[], ["models"], [".ollama", "models"]]) {
      await using manifests = await given.folder(...below, MANIFESTS);
      if (manifests !== null) return await HeldFolder.openRoot([dir, ...below].join("/"));
    }
  } catch (error) {
    throw mirrorFailure("read the models", dir, error);
  }
  throw noModels(dir);
}

function noModels(dir: string): CourierError {
  return new CourierError("not_found", `No models in ${dir}`, {
    hint: "Give a models folder of Ollama, with manifests and blobs in it, such as ~/.ollama/models",
  });
}
