// Removing files of the share: each may be gone already, removed by its reader, a sweep or another machine.
import { basename } from "node:path";
import { isGone } from "../calls/primitives.ts";
import type { Folder } from "../layout.ts";
import type { Share } from "../share.ts";

/** Removes a file that a listing shows. @returns false when it was not there */
export async function removeFile(share: Share, folder: Folder, name: string): Promise<boolean> {
  if ((await share.folder(folder)) === null || !(await share.shows(folder, name))) return false;
  return await unlink(share, folder, name);
}

/** For a name in a folder that was checked just now. @returns false when it was not there */
export async function unlink(share: Share, folder: Folder, name: string): Promise<boolean> {
  try {
    await share.inside([folder], async (at) => await share.fs.unlink(at(name)));
    return true;
  } catch (error) {
    if (isGone(error) && (await share.lacks(folder, name))) return false;
    throw error;
  }
}

/** Removes a file in .tmp/. One that stays is swept after an hour. */
export async function discard({ fs }: Share, path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch {
    // The caller reports the failure that came before.
  }
}

/** Removes an empty folder below a top folder. @throws the system's error */
export async function removeFolder(share: Share, { top, path }: Folder): Promise<void> {
  await share.inside([{ top, path: top }], async (at) => await share.fs.rmdir(at(basename(path))));
}
