// The signatures of mirrored models, as files: outside `manifests/`, where Ollama takes every file for a tag. Not verified here.
import { constants } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import type { ModelName } from "../../base/model_name.ts";
import { mirrorFailure } from "./failures.ts";
import { absent, HeldFolder } from "./held_folder.ts";
import { MIRROR, TEMPORARY } from "./layout.ts";
import type { Mirror } from "./mirror.ts";

const SIGNATURES = "signatures";
const MAX_BYTES = 4096;

/** @returns null when there is no signature, or it is too large to be one. @throws CourierError `unavailable` */
export async function readSignature(mirror: Mirror, name: ModelName): Promise<string | null> {
  try {
    await using root = await absent(HeldFolder.openRoot(mirror.path, mirror.guard));
    await using folder = (await root?.folder(SIGNATURES, name.host, name.namespace, name.model)) ?? null;
    const found = (await folder?.file(fileName(name))) ?? null;
    if (found === null) return null;
    try {
      const buffer = Buffer.alloc(MAX_BYTES + 1);
      const { bytesRead } = await found.handle.read(buffer, 0, buffer.length, 0);
      return bytesRead > MAX_BYTES ? null : buffer.toString("utf8", 0, bytesRead);
    } finally {
      await found.handle.close();
    }
  } catch (error) {
    throw mirrorFailure("read the mirror", mirror.path, error);
  }
}

/** Puts a signature beside a model, or replaces it. Durable when it resolves. @throws CourierError */
export async function writeSignature(mirror: Mirror, name: ModelName, text: string): Promise<void> {
  try {
    await using share = await HeldFolder.openRoot(mirror.share);
    await using temporary = await share.makeFolder(MIRROR, TEMPORARY);
    await using folder = await share.makeFolder(MIRROR, SIGNATURES, name.host, name.namespace, name.model);
    const [written, mode] = [temporary.at(crypto.randomUUID()), await folder.fileMode()];
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(written, flags, mode);
    try {
      await file.chmod(mode);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(written, folder.at(fileName(name)));
    await folder.sync();
  } catch (error) {
    throw mirrorFailure("write the mirror", mirror.path, error);
  }
}

/** @param root the mirror's folder */
export async function removeSignature(root: HeldFolder, name: ModelName): Promise<void> {
  await using folder = await root.folder(SIGNATURES, name.host, name.namespace, name.model);
  if (folder !== null) await absent(unlink(folder.at(fileName(name))));
}

function fileName({ tag }: ModelName): string {
  return `${tag}.json`;
}
