// The signatures of mirrored models, as files. Not verified here.
import { constants } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import type { ModelName } from "../../base/model_name.ts";
import { mirrorFailure } from "./failures.ts";
import { absent, HeldFolder } from "./held_folder.ts";
import { MIRROR, TEMPORARY } from "./layout.ts";
import { type Mirror, signaturePlace } from "./mirror.ts";

/** Puts a signature beside a model, or replaces it. Durable when it resolves. @throws CourierError */
export async function writeSignature(mirror: Mirror, name: ModelName, text: string): Promise<void> {
  const place = signaturePlace(name);
  try {
    await using share = await HeldFolder.openRoot(mirror.share);
    await using temporary = await share.makeFolder(MIRROR, TEMPORARY);
    await using folder = await share.makeFolder(MIRROR, ...place.folders);
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
    await rename(written, folder.at(place.file));
    await folder.sync();
  } catch (error) {
    throw mirrorFailure("write the mirror", mirror.path, error);
  }
}

/** @param root the mirror's folder */
export async function removeSignature(root: HeldFolder, name: ModelName): Promise<void> {
  const place = signaturePlace(name);
  await using folder = await root.folder(...place.folders);
  if (folder !== null) await absent(unlink(folder.at(place.file)));
}
