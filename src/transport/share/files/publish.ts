// Publishing: a file is written in .tmp/ and renamed into place, so that it is complete when it becomes visible.
import { constants } from "node:fs";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { type Facts, isGone } from "../calls/primitives.ts";
import { fileMode, takeAfter } from "../folders/folders.ts";
import type { At } from "../folders/held.ts";
import type { Folder } from "../layout.ts";
import type { Share } from "../share.ts";
import { lookUp } from "./read.ts";
import { discard } from "./remove.ts";

/** A complete file that is not visible yet; its path is valid while .tmp/ is held. */
interface Written {
  readonly path: string;
  readonly facts: Facts;
}

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

interface PublishFileOptions {
  readonly durable: boolean;
  /** Called right before the rename: if anything fails after that, the file may be visible. */
  readonly renaming?: (() => void) | undefined;
  /** An empty folder in the file's place is removed: anybody who may write to the share can make one. */
  readonly clears?: boolean;
}

/**
 * Publishes text under a name and replaces the file of that name. One change of the watched folder.
 * @returns false when the folder is gone, as `Share.folder` decides: nothing was published, and it is not made again
 */
export async function publishFile(
  share: Share,
  folder: Folder,
  name: string,
  text: string,
  options: PublishFileOptions,
): Promise<boolean> {
  const publish = async (): Promise<Published> => await tryToPublish(share, folder, name, text, options);
  const first = await publish();
  const published = first instanceof Error ? await publish() : first;
  if (published instanceof Error) throw published;
  if (published && options.durable) await syncFolder(share, folder.path);
  return published;
}

/** False when the folder is gone; an error when one of the folders was replaced or removed since it was looked at, and nothing was made. */
type Published = boolean | Error;

async function tryToPublish(
  share: Share,
  folder: Folder,
  name: string,
  text: string,
  { durable, renaming, clears = false }: PublishFileOptions,
): Promise<Published> {
  const target = await share.targetFolder(folder);
  if (target === null) return false;
  const inTemporary = share.layout.temporary(folder);
  let written: Written | undefined;
  try {
    await share.inside([inTemporary, folder], async (temporary, final) => {
      written = await writeTemporary(share, temporary, target, text, durable);
      renaming?.();
      await moveOrDiscard(share, written.path, final(name), clears);
    });
    return true;
  } catch (error) {
    if (!isGone(error)) throw error;
    if ((await share.folderAgain(folder)) === null) return false;
    share.forget(inTemporary);
    if (written === undefined) return error instanceof Error ? error : false;
    // When the server's reply is lost, the kernel asks again, and by then the file has been renamed.
    if ((await lookUp(share, folder, name, 0))?.facts.ino === written.facts.ino) return true;
    throw error;
  }
}

async function moveOrDiscard(share: Share, from: string, to: string, clears: boolean): Promise<void> {
  try {
    await move(share, from, to, clears);
  } catch (error) {
    await discard(share, from);
    throw error;
  }
}

async function move({ fs }: Share, from: string, to: string, clears: boolean): Promise<void> {
  try {
    await fs.rename(from, to);
  } catch (error) {
    if (!clears || systemCode(error) !== "EISDIR" || !(await isRemoved(fs, to))) throw error;
    await fs.rename(from, to);
  }
}

async function isRemoved(fs: Share["fs"], folder: string): Promise<boolean> {
  try {
    await fs.rmdir(folder);
    return true;
  } catch {
    // It is not empty, or not ours: the caller reports that it is in the way.
    return false;
  }
}

/**
 * Writes a file in .tmp/ for a folder, with that folder's group and modes, and takes the time from it.
 * @param temporary the held .tmp/
 * @param target the folder as `targetFolder` found it
 * @returns the file, for one rename or link
 */
export async function writeTemporary(
  share: Share,
  temporary: At,
  target: Facts,
  text: string,
  durable: boolean,
): Promise<Written> {
  const { fs } = share;
  const path = temporary(crypto.randomUUID());
  // Without O_EXCL, which costs NFS another call: nobody else knows this name, and O_NOFOLLOW refuses a planted link.
  const file = await fs.open(path, O_WRONLY | O_CREAT | O_NOFOLLOW, fileMode(target));
  try {
    return { path, facts: await fill(share, file, target, text, durable) };
  } catch (error) {
    await discard(share, path);
    throw error;
  }
}

/** Writes, and closes the file in any case: a network file system may report a full disk only then. */
async function fill(share: Share, file: number, target: Facts, text: string, durable: boolean): Promise<Facts> {
  const { fs, time } = share;
  try {
    // Before writing: afterwards a network file system would have to send the bytes to the server to learn the time.
    const facts = await fs.fstat(file);
    if (facts.dev !== target.dev) throw elsewhere(share.layout.root);
    time.saw(facts.mtimeNs);
    await takeAfter(fs, file, facts, target.gid, fileMode(target));
    if (text !== "") await fs.write(file, Buffer.from(text));
    if (durable) await fs.fsync(file);
    return facts;
  } finally {
    await fs.close(file);
  }
}

function elsewhere(root: string): CourierError {
  return new CourierError("unavailable", `${root} is on another file system than a moment ago: not mounted any more?`, {
    hint: "Mount it; work then continues by itself",
  });
}

/** Makes a rename or link into this folder survive a power cut. */
export async function syncFolder({ fs }: Share, path: string): Promise<void> {
  const folder = await fs.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    await fs.fsync(folder);
  } finally {
    await fs.close(folder);
  }
}

/** Makes and removes a file, so that the folder's mtime moves: see `Share.goesByMtime`. @returns false when the folder is gone */
export async function nudgeFolder(share: Share, folder: Folder): Promise<boolean> {
  if ((await share.folder(folder)) === null) return false;
  const { fs } = share;
  await share.inside([folder], async (at) => {
    const name = at(`.${crypto.randomUUID()}`);
    await fs.close(await fs.open(name, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600));
    await fs.unlink(name);
  });
  return true;
}

/** Takes the time from a file that is made and removed for it. */
export async function sampleTime(share: Share): Promise<void> {
  const { status } = share.layout;
  const target = await share.targetFolder(status);
  if (target === null) return;
  await share.inside([share.layout.temporary(status)], async (temporary) => {
    await discard(share, (await writeTemporary(share, temporary, target, "", false)).path);
  });
}
