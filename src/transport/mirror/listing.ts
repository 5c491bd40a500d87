// Lists the mirror: every model, and the blobs that are there.
import { formatModelName, type ModelName } from "../../base/model_name.ts";
import { mirrorFailure } from "./failures.ts";
import { absent, HeldFolder } from "./held_folder.ts";
import { BLOBS, blobName, MANIFESTS, nameAt } from "./layout.ts";
import { type Mirror, type MirroredModel, readOrNull } from "./mirror.ts";

export interface ListedModel {
  readonly name: ModelName;
  /** Null when its manifest cannot be read. */
  readonly model: MirroredModel | null;
  /** How many of its blobs are not there with their size. */
  readonly missing: number;
  /** As a text, which nobody has verified; null: it is not signed. */
  readonly signature: string | null;
}

export interface Listed {
  readonly models: readonly ListedModel[];
  /** The names of the files in `blobs/`, with their sizes: what several models share is there once. */
  readonly blobs: ReadonlyMap<string, number>;
}

/** More than any site has, also of the text of their manifests: anyone who can write to the share may have made them. */
const MAX_MODELS = 10_000;
const MAX_TEXT_CHARS = 64_000_000;

/** @throws CourierError `unavailable` when the share cannot be read */
export async function listMirror(mirror: Mirror): Promise<Listed> {
  try {
    await using root = await absent(HeldFolder.openRoot(mirror.path, mirror.guard));
    if (root === null) return { models: [], blobs: new Map() };
    const blobs = await blobSizes(root);
    const models: ListedModel[] = [];
    let chars = 0;
    for await (const found of modelsIn(root)) {
      const layers = found.model?.manifest.layers ?? [];
      const missing = layers.filter(({ digest, bytes }) => blobs.get(blobName(digest)) !== bytes).length;
      models.push({ ...found, missing, signature: await mirror.readSignature(found.name) });
      chars += found.model?.text.length ?? 0;
      if (models.length >= MAX_MODELS || chars >= MAX_TEXT_CHARS) break;
    }
    return { models: models.toSorted((a, b) => compare(a.name, b.name)), blobs };
  } catch (error) {
    throw mirrorFailure("read the mirror", mirror.path, error);
  }
}

/** Every file in `manifests/` whose path is a model's name. */
export async function* modelsIn(root: HeldFolder): AsyncGenerator<Pick<ListedModel, "name" | "model">> {
  await using manifests = await root.folder(MANIFESTS);
  if (manifests === null) return;
  for (const host of await foldersIn(manifests))
    for (const namespace of await foldersIn(manifests, host))
      for (const model of await foldersIn(manifests, host, namespace)) {
        await using folder = await manifests.folder(host, namespace, model);
        for (const { name: tag, kind } of (await folder?.entries()) ?? []) {
          const name = kind === "file" ? nameAt(host, namespace, model, tag) : null;
          if (folder === null || name === null) continue;
          const found = await readOrNull(folder, name);
          // One that was removed meanwhile is no model that cannot be read.
          if (found !== null || (await folder.look(tag)) !== null) yield { name, model: found };
        }
      }
}

/** Sizes by the name of the file; nothing that is no blob. */
export async function blobSizes(root: HeldFolder): Promise<Map<string, number>> {
  await using blobs = await root.folder(BLOBS);
  const sizes = new Map<string, number>();
  for (const { name, kind } of (await blobs?.entries()) ?? []) {
    if (kind !== "file" || !/^sha256-[0-9a-f]{64}$/.test(name)) continue;
    const found = await blobs?.look(name);
    if (found) sizes.set(name, found.bytes);
  }
  return sizes;
}

async function foldersIn(parent: HeldFolder, ...names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0) return namesOf(await parent.entries());
  await using folder = await parent.folder(...names);
  return namesOf((await folder?.entries()) ?? []);
}

function namesOf(entries: Awaited<ReturnType<HeldFolder["entries"]>>): readonly string[] {
  return entries.filter(({ kind }) => kind === "folder").map(({ name }) => name);
}

function compare(a: ModelName, b: ModelName): number {
  return formatModelName(a).localeCompare(formatModelName(b), "en");
}
