// Removes from the mirror: a model, and what no model needs.
import { rmdir, unlink } from "node:fs/promises";
import { CourierError } from "../../base/errors.ts";
import { formatModelName, type ModelName } from "../../base/model_name.ts";
import { mirrorFailure, noMirror } from "./failures.ts";
import { absent, HeldFolder } from "./held_folder.ts";
import { BLOBS, blobName, MANIFESTS, TEMPORARY } from "./layout.ts";
import { blobSizes, modelsIn } from "./listing.ts";
import { type Mirror, readModel } from "./mirror.ts";
import { removeSignature } from "./signatures.ts";

export interface Freed {
  readonly files: number;
  readonly bytes: number;
}

/** A model that is being added has blobs before it has a manifest. */
const BLOB_KEPT_MS = 3_600_000;
/** A download that stands still may go on. */
const PARTIAL_KEPT_MS = 7 * 86_400_000;

/**
 * Removes a model, and the blobs that no other model has.
 * @throws CourierError `not_found`; `unavailable` and `forbidden` when that fails
 */
export async function removeModel(mirror: Mirror, name: ModelName): Promise<Freed> {
  return await changing(mirror, async (root) => {
    await using folder = await root.folder(MANIFESTS, name.host, name.namespace, name.model);
    if (folder === null || (await folder.look(name.tag)) === null) throw noSuchModel(name);
    const model = await readModel(folder, name).catch(unlessConflict);
    if ((await absent(unlink(folder.at(name.tag)))) === null) throw noSuchModel(name);
    await removeSignature(root, name);
    await folder.sync();
    const blobs = (model?.manifest.layers ?? []).map(({ digest }) => blobName(digest));
    const freed = await removeUnused(root, blobs, () => true);
    await removeEmptyFolders(root, name);
    return freed;
  });
}

/**
 * Removes blobs that no model has and that are older than an hour, and unfinished files that are older than a week. A model
 * whose manifest cannot be read keeps all blobs: nobody knows which are its own. So does an unfinished file of the last hour:
 * the first blobs of a large model are older than that before its manifest is there.
 * @param nowMs on the clock that the share's times are on
 */
export async function collectGarbage(mirror: Mirror, nowMs: number): Promise<Freed> {
  return await changing(mirror, async (root) => {
    const blobs = (await isBeingFilled(root, nowMs)) ? [] : [...(await blobSizes(root)).keys()];
    const unused = await removeUnused(root, blobs, (modifiedAtMs) => nowMs - modifiedAtMs > BLOB_KEPT_MS);
    const partials = await removePartials(root, nowMs);
    return { files: unused.files + partials.files, bytes: unused.bytes + partials.bytes };
  });
}

/** Looks again at the models right before each file: one may have been added meanwhile. */
async function removeUnused(
  root: HeldFolder,
  names: readonly string[],
  isOld: (modifiedAtMs: number) => boolean,
): Promise<Freed> {
  await using blobs = await root.folder(BLOBS);
  let [files, bytes] = [0, 0];
  const used = blobs === null || names.length === 0 ? null : await usedBlobs(root);
  if (blobs === null || used === null) return { files, bytes };
  for (const name of names) {
    const found = used.has(name) ? null : await blobs.look(name);
    if (found === null || !isOld(found.modifiedAtMs)) continue;
    const usedNow = await usedBlobs(root);
    if (usedNow === null || usedNow.has(name)) continue;
    await absent(unlink(blobs.at(name)));
    files += 1;
    bytes += found.bytes;
  }
  return { files, bytes };
}

/** The names of all blobs that a model has; null when one cannot be read. */
async function usedBlobs(root: HeldFolder): Promise<ReadonlySet<string> | null> {
  const used = new Set<string>();
  for await (const { model } of modelsIn(root)) {
    if (model === null) return null;
    for (const { digest } of model.manifest.layers) used.add(blobName(digest));
  }
  return used;
}

async function isBeingFilled(root: HeldFolder, nowMs: number): Promise<boolean> {
  await using temporary = await root.folder(TEMPORARY);
  for (const { name } of (await temporary?.entries()) ?? []) {
    const found = await temporary?.look(name);
    if (found && nowMs - found.modifiedAtMs <= BLOB_KEPT_MS) return true;
  }
  return false;
}

async function removePartials(root: HeldFolder, nowMs: number): Promise<Freed> {
  await using temporary = await root.folder(TEMPORARY);
  let [files, bytes] = [0, 0];
  for (const { name } of (await temporary?.entries()) ?? []) {
    const found = await temporary?.look(name);
    if (!temporary || !found || nowMs - found.modifiedAtMs <= PARTIAL_KEPT_MS) continue;
    await absent(unlink(temporary.at(name)));
    files += 1;
    bytes += found.bytes;
  }
  return { files, bytes };
}

/** Up to the first that holds another model, or that somebody else removes at this moment. */
async function removeEmptyFolders(root: HeldFolder, { host, namespace, model }: ModelName): Promise<void> {
  const parts = [MANIFESTS, host, namespace, model];
  for (let depth = parts.length; depth > 1; depth--) {
    await using parent = await root.folder(...parts.slice(0, depth - 1));
    if (parent === null) return;
    const gone = await absent(rmdir(parent.at(parts[depth - 1] ?? "")), ["ENOTEMPTY", "EEXIST", "ENOENT"]);
    if (gone === null) return;
  }
}

async function changing(mirror: Mirror, change: (root: HeldFolder) => Promise<Freed>): Promise<Freed> {
  try {
    await using root = await absent(HeldFolder.openRoot(mirror.path));
    if (root === null) throw noMirror(mirror.path);
    return await change(root);
  } catch (error) {
    throw mirrorFailure("change the mirror", mirror.path, error);
  }
}

function unlessConflict(error: unknown): null {
  if (error instanceof CourierError && error.code === "conflict") return null;
  throw error;
}

function noSuchModel(name: ModelName): CourierError {
  return new CourierError("not_found", `The mirror has no ${formatModelName(name)}`, { hint: "gpuctl mirror list" });
}
