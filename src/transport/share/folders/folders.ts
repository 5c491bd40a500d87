// Folders on the share: real ones only, made with their parent's group and modes.
import { constants } from "node:fs";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { type Facts, isGone, type Primitives } from "../calls/primitives.ts";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const SETGID = 0o2000;

/**
 * The folder as it is now.
 * @returns null when it does not exist
 * @throws CourierError `forbidden` when it is not a folder: a link may lead anywhere
 */
export async function realFolder(fs: Primitives, path: string): Promise<Facts | null> {
  const facts = await factsAt(fs, path);
  if (facts === null || facts.kind === "folder") return facts;
  const isLink = facts.kind === "link";
  throw new CourierError(
    "forbidden",
    `Cannot use ${path}: it is ${isLink ? "a link" : "not a folder"}, ${ownership(facts)}`,
    {
      hint: isLink ? `Remove it: sudo rm ${path}` : `Move it away: sudo mv ${path} ${path}.old`,
    },
  );
}

/**
 * Makes a folder if it does not exist. It gets the group and modes of `parent`, whatever the umask, and setgid, so that
 * files and folders in it keep the group.
 * @param folder its path, and the path to make it by, if that is another: in a parent that is held
 */
export async function makeRealFolder(
  fs: Primitives,
  { path, at = path }: { readonly path: string; readonly at?: string },
  parent: Facts,
): Promise<Facts> {
  const mode = folderMode(parent);
  try {
    await fs.mkdir(at, mode);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
    const there = await realFolder(fs, path);
    if (there !== null) return there;
    throw error;
  }
  // By descriptor and without following links: the name may be replaced right after mkdir.
  const folder = await fs.open(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    await takeAfter(fs, folder, await fs.fstat(folder), parent.gid, mode);
    return await fs.fstat(folder);
  } finally {
    await fs.close(folder);
  }
}

/** Gives an open file or folder this group and mode; the group only if that is allowed. */
export async function takeAfter(fs: Primitives, file: number, is: Facts, gid: number, mode: number): Promise<void> {
  if (is.gid !== gid) {
    try {
      await fs.fchown(file, is.uid, gid);
    } catch (error) {
      // Only members may give a file to a group. Otherwise it keeps ours, and its modes decide.
      if (systemCode(error) !== "EPERM") throw error;
    }
  }
  // After chown, which clears setgid.
  if (is.gid !== gid || is.mode !== mode) await fs.fchmod(file, mode);
}

/** The mode of a file in a folder: its read and write bits; the owner may always do both. */
export function fileMode(folder: Facts): number {
  return (folder.mode & 0o666) | 0o600;
}

function folderMode(parent: Facts): number {
  return (parent.mode & 0o777) | 0o700 | SETGID;
}

/** The facts of a name; null when it is gone. */
export async function factsAt(fs: Primitives, path: string): Promise<Facts | null> {
  try {
    return await fs.lstat(path);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/** Owner and mode, as in messages. */
export function ownership({ uid, gid, mode }: Facts): string {
  return `owned by ${uid}:${gid}, mode ${mode.toString(8).padStart(4, "0")}`;
}
