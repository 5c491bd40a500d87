// Ollama's blobs as files: where they are, which are whole, and how much of one is allocated.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, realpath } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../../base/errors.ts";
import type { Layer } from "../../program/registry/manifest.ts";

/** One file of a blob: the whole blob, or a download of it that has not ended. */
export interface BlobFile {
  readonly name: string;
  readonly isWhole: boolean;
  readonly writtenAtMs: number;
  /** A partial file is sparse: it has the length of the whole blob from its first byte. */
  readonly allocatedBytes: number;
}

/** The digest becomes a file name. */
const DIGEST = /^sha256:[0-9a-f]{64}$/i;
/** `stat` counts blocks of this size, whatever the file system's own are. */
const BLOCK_BYTES = 512;
const READ_BYTES = 1024 * 1024;

/**
 * The folder that really holds the blobs of a models folder: it may be a link to another disk. Before Ollama has made it,
 * the models folder itself.
 * @throws system errors, also when the link leads nowhere: its disk is not mounted
 */
export async function blobsFolder(modelsDir: string): Promise<string> {
  const blobs = join(modelsDir, "blobs");
  return await realpath((await absent(lstat(blobs))) === null ? modelsDir : blobs);
}

/** The files of one blob; none when it is absent or the digest is invalid. @throws system errors */
export async function blobFiles(blobs: string, digest: string): Promise<BlobFile[]> {
  if (!DIGEST.test(digest)) return [];
  const whole = digest.replace(":", "-");
  const files: BlobFile[] = [];
  for (const name of [whole, `${whole}-partial`]) {
    const found = await absent(lstat(join(blobs, name)));
    if (found === null) continue;
    const allocatedBytes = found.blocks * BLOCK_BYTES;
    files.push({ name, isWhole: name === whole, writtenAtMs: found.mtimeMs, allocatedBytes });
  }
  return files;
}

/** How much of a layer is on disk: all of it, what is allocated of a partial file, or 0. @throws system errors */
export async function presentBytes(blobs: string, { digest, bytes }: Layer): Promise<number> {
  const files = await blobFiles(blobs, digest);
  if (files.some(({ isWhole }) => isWhole)) return bytes;
  return Math.min(bytes, files[0]?.allocatedBytes ?? 0);
}

/** The digest of a whole blob's bytes; null when they cannot be read to their end, or the signal aborts. */
export async function readDigest(blobs: string, digest: string, signal: AbortSignal): Promise<string | null> {
  if (!DIGEST.test(digest)) return null;
  const path = join(blobs, digest.replace(":", "-"));
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { signal, highWaterMark: READ_BYTES })) hash.update(chunk);
  } catch (error) {
    if (systemCode(error) === undefined && !signal.aborted) throw error;
    return null;
  }
  return `sha256:${hash.digest("hex")}`;
}

/** Null when it does not exist. @throws other errors */
export async function absent<Value>(asked: Promise<Value>): Promise<Value | null> {
  try {
    return await asked;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}
