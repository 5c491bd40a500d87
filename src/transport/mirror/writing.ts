// Adds models to the mirror: each file is written in `.tmp/`, hashed and renamed, the manifest last.
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { CourierError } from "../../base/errors.ts";
import { formatBytes } from "../../base/format.ts";
import { formatModelName, type ModelName } from "../../base/model_name.ts";
import { type Layer, parseManifest } from "../../program/registry/manifest.ts";
import { mirrorFailure } from "./failures.ts";
import { absent, HeldFolder } from "./held_folder.ts";
import { BLOBS, blobName, MANIFESTS, MIRROR, TEMPORARY } from "./layout.ts";
import type { Mirror } from "./mirror.ts";

const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;

/** The bytes of a blob that did not get there, or are not those of its digest. */
export class WrongBlob extends CourierError {
  constructor(digest: string, found: string) {
    super("unavailable", `Cannot add ${digest.slice(0, 19)} to the mirror: ${found}`, {
      hint: "Its source is damaged, or sends something else",
    });
  }
}

/**
 * Adds a blob, unless it is there already. Durable when it resolves.
 * @param content its bytes, from any source; not read when the blob is there
 * @throws `WrongBlob` when they are not those of its digest: nothing was added; CourierError `exhausted`, `forbidden`,
 * `unavailable`; whatever `content` throws
 */
export async function addBlob(mirror: Mirror, layer: Layer, content: AsyncIterable<Uint8Array>): Promise<void> {
  if ((await mirror.missing([layer])).length === 0) return;
  await writing(mirror, async (root) => {
    await using temporary = await root.makeFolder(TEMPORARY);
    await using blobs = await root.makeFolder(BLOBS);
    await publish({ temporary, target: blobs, name: blobName(layer.digest) }, async (file) => {
      const hash = createHash("sha256");
      let bytes = 0;
      for await (const chunk of content) {
        bytes += chunk.byteLength;
        if (bytes > layer.bytes) throw new WrongBlob(layer.digest, `it is larger than ${formatBytes(layer.bytes)}`);
        hash.update(chunk);
        await writeAll(file, chunk);
      }
      if (bytes < layer.bytes) throw new WrongBlob(layer.digest, `it ends after ${formatBytes(bytes)}`);
      if (`sha256:${hash.digest("hex")}` !== layer.digest.toLowerCase())
        throw new WrongBlob(layer.digest, "digest mismatch");
    });
  });
}

/**
 * Adds a manifest, or replaces that of its name. Durable when it resolves.
 * @throws CourierError `conflict` while a blob of it is missing; `invalid` for a text that is no manifest; as `addBlob`
 */
export async function addManifest(mirror: Mirror, name: ModelName, text: string): Promise<void> {
  const manifest = parseManifest(text);
  if (manifest === null)
    throw new CourierError("invalid", `Cannot add ${formatModelName(name)}: its manifest cannot be read`);
  const missing = await mirror.missing(manifest.layers);
  if (missing.length > 0) {
    const found = `${missing.length} of its ${manifest.layers.length} blobs are missing in the mirror`;
    throw new CourierError("conflict", `Cannot add ${formatModelName(name)}: ${found}`);
  }
  await writing(mirror, async (root) => {
    await using temporary = await root.makeFolder(TEMPORARY);
    await using target = await root.makeFolder(MANIFESTS, name.host, name.namespace, name.model);
    await publish({ temporary, target, name: name.tag }, async (file) => await writeAll(file, Buffer.from(text)));
  });
}

interface Place {
  readonly temporary: HeldFolder;
  readonly target: HeldFolder;
  readonly name: string;
}

async function publish({ temporary, target, name }: Place, fill: (file: FileHandle) => Promise<void>): Promise<void> {
  const written = temporary.at(crypto.randomUUID());
  const mode = await target.fileMode();
  try {
    const file = await open(written, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
    try {
      await file.chmod(mode);
      await fill(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(written, target.at(name));
  } catch (error) {
    await absent(unlink(written));
    throw error;
  }
  await target.sync();
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) at += (await file.write(bytes, at, bytes.byteLength - at)).bytesWritten;
}

/** Runs `write` in the mirror's folder, which is made below a share that is there. */
async function writing(mirror: Mirror, write: (root: HeldFolder) => Promise<void>): Promise<void> {
  try {
    await using share = await HeldFolder.openRoot(mirror.share);
    await using root = await share.makeFolder(MIRROR);
    await write(root);
  } catch (error) {
    throw mirrorFailure("write the mirror", mirror.path, error);
  }
}
