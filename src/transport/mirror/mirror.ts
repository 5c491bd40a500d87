// The mirror: models in a folder of the share, which the boxes pull instead of downloading each of them. Untrusted when read.
import { join } from "node:path";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { formatModelName, type ModelName, parseModelName } from "../../base/model_name.ts";
import { type Layer, MAX_MANIFEST_BYTES, type Manifest, parseManifest } from "../../program/registry/manifest.ts";
import { mirrorFailure } from "./failures.ts";
import { absent, HeldFolder } from "./held_folder.ts";
import { BLOBS, blobName, MANIFESTS, MIRROR } from "./layout.ts";
import type { Guard, OpenFile } from "./reading/guard.ts";

/** A model as the mirror has it: nothing says yet that its blobs are right. */
export interface MirroredModel {
  readonly name: ModelName;
  /** The manifest, byte for byte. */
  readonly text: string;
  readonly manifest: Manifest;
}

export const MAX_SIGNATURE_BYTES = 4096;
const NO_MIRROR = "Is it mounted? gpuctl mirror add and import fill a mirror";
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Mirror {
  /** The path of the shared folder. */
  readonly share: string;
  /** Of the mirror's folder in it. */
  readonly path: string;

  /** Null: a share that hangs may stop this program. */
  readonly guard: Guard | null;

  /** @param share it need not have a mirror */
  constructor(share: string, guard: Guard | null = null) {
    this.share = share;
    this.path = join(share, MIRROR);
    this.guard = guard;
  }

  /**
   * @param model in Ollama's form
   * @returns null when the mirror has no such model
   * @throws CourierError `unavailable` when the share cannot be read or has no mirror: it may not be mounted; `conflict` when
   * what it has there is no manifest
   */
  async find(model: string): Promise<MirroredModel | null> {
    const name = parseModelName(model);
    return await this.#reading(async (root) => {
      if (root === null)
        throw new CourierError("unavailable", `There is no mirror in ${this.share}`, { hint: NO_MIRROR });
      await using folder = await root.folder(MANIFESTS, name.host, name.namespace, name.model);
      return folder === null ? null : await readModel(folder, name);
    });
  }

  /**
   * Opens a blob, which the caller closes. Its bytes are not verified: that is for the caller.
   * @returns null when it is not there with its size
   * @throws CourierError `unavailable` when the share cannot be read
   */
  async openBlob({ digest, bytes }: Layer): Promise<OpenFile | null> {
    return await this.#reading(async (root) => {
      await using blobs = (await root?.folder(BLOBS)) ?? null;
      const found = (await blobs?.file(blobName(digest))) ?? null;
      if (found === null || found.bytes === bytes) return found?.handle ?? null;
      await found.handle.close();
      return null;
    });
  }

  /** Those of these blobs that are not there with their size. @throws CourierError as `openBlob` */
  async missing(layers: readonly Layer[]): Promise<readonly Layer[]> {
    const present = await this.#reading(async (root) => {
      await using blobs = (await root?.folder(BLOBS)) ?? null;
      if (blobs === null) return null;
      const sizes: (number | null)[] = [];
      for (const { digest } of layers) sizes.push((await blobs.look(blobName(digest)))?.bytes ?? null);
      return sizes;
    });
    return layers.filter(({ bytes }, index) => present?.[index] !== bytes);
  }

  /** @returns null when there is no signature, or it is too large to be one. @throws CourierError `unavailable` */
  async readSignature(name: ModelName): Promise<string | null> {
    return await this.#reading(async (root) => {
      const { folders, file: fileName } = signaturePlace(name);
      await using folder = (await root?.folder(...folders)) ?? null;
      const found = (await folder?.file(fileName)) ?? null;
      if (found === null) return null;
      await using file = found.handle;
      return found.bytes > MAX_SIGNATURE_BYTES ? null : (await readAll(file, found.bytes)).toString("utf8");
    });
  }

  /** Runs `read` in the mirror's folder; null: the share has no mirror. @throws CourierError */
  async #reading<Value>(read: (root: HeldFolder | null) => Promise<Value>): Promise<Value> {
    try {
      await using root = await absent(HeldFolder.openRoot(this.path, this.guard));
      return await read(root);
    } catch (error) {
      throw mirrorFailure("read the mirror", this.path, error);
    }
  }
}

/** Where a model's signature is: outside `manifests/`, where Ollama takes every file for a tag. */
export function signaturePlace({ host, namespace, model, tag }: ModelName) {
  return { folders: ["signatures", host, namespace, model], file: `${tag}.json` };
}

/** The model of a tag. @param folder that of its name in `manifests/` */
export async function readModel(folder: HeldFolder, name: ModelName): Promise<MirroredModel | null> {
  const found = await folder.file(name.tag);
  if (found === null) return null;
  try {
    const bytes = found.bytes > MAX_MANIFEST_BYTES ? null : await readAll(found.handle, found.bytes);
    const text = bytes === null ? null : decode(bytes);
    const manifest = text === null ? null : parseManifest(text);
    if (text !== null && manifest !== null) return { name, text, manifest };
  } finally {
    await found.handle.close();
  }
  throw new CourierError("conflict", `The mirror's manifest of ${formatModelName(name)} cannot be read`, {
    hint: `Remove it and add the model again: gpuctl mirror rm ${formatModelName(name)}`,
  });
}

/** As `readModel`; null also for one that cannot be read as a manifest. */
export async function readOrNull(folder: HeldFolder, name: ModelName): Promise<MirroredModel | null> {
  try {
    return await readModel(folder, name);
  } catch (error) {
    if (asCourierError(error).code !== "conflict") throw error;
    return null;
  }
}

/** As many bytes as the file had a moment ago: it may grow meanwhile. */
async function readAll(file: OpenFile, size: number): Promise<Buffer> {
  const buffer = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const { bytesRead } = await file.read(buffer, length, size - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** Null where the bytes stand for no text: their digest would not be that of the text. */
function decode(bytes: Buffer): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
