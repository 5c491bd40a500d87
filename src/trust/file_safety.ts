// Whether only root and the user of a program may write to a file that it believes, or put another in its place.
import { realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Of a file. */
export interface FileFacts {
  readonly uid: bigint;
  readonly mode: bigint;
}

export interface FileFault {
  readonly reason: string;
  readonly hint: string;
}

/** Others may add files to such a folder, and remove none that is not theirs: `/tmp`. */
const STICKY = 0o1000n;

/** Root, whose programs run everywhere on this machine. */
export const ROOT = 0;

/**
 * Why other users may write to a file; null: none may.
 * @param user who may own it as root may
 * @param name as people call this user: `the agent's`
 */
export function fileFault(path: string, { uid, mode }: FileFacts, user: number, name: string): FileFault | null {
  if (![ROOT, user].includes(Number(uid))) {
    const reason = `it belongs to user ${uid}, who is neither root nor ${name}`;
    return { reason, hint: `On this machine: sudo chown root ${path}` };
  }
  if ((mode & 0o022n) === 0n) return null;
  const shown = (mode & 0o7777n).toString(8).padStart(4, "0");
  const reason = `others than its owner may write to it (mode ${shown})`;
  return { reason, hint: `On this machine: sudo chmod go-w ${path}` };
}

/**
 * Why other users may put another file in the place of this one: who may write to one of the folders that lead to it; null:
 * none may. As sshd with StrictModes, but up to the root, and not for a folder with the sticky bit.
 * @param user who may own the folders as root may
 * @throws system errors, also when there is no such file
 */
export function placeFault(path: string, user: number, name: string): FileFault | null {
  for (const folder of foldersTo(path)) {
    const { uid, mode } = statSync(folder, { bigint: true });
    const isSticky = (mode & STICKY) !== 0n;
    const fault = fileFault(folder, { uid, mode: isSticky ? 0n : mode }, user, name);
    if (fault !== null) return { ...fault, reason: `its folder ${folder} is not safe: ${fault.reason}` };
  }
  return null;
}

/** Equal as long as the folders that lead to a file have the same owners and modes. @throws system errors */
export function placeVersion(path: string): string {
  return foldersTo(path)
    .map((folder) => statSync(folder))
    .map(({ uid, mode }) => `${uid}:${mode}`)
    .join(" ");
}

/** Those of the path as it is written, and as it is without links. */
function foldersTo(path: string): readonly string[] {
  const folders = new Set<string>();
  for (const start of [resolve(path), realpathSync(path)])
    for (let folder = dirname(start); !folders.has(folder); folder = dirname(folder)) folders.add(folder);
  return [...folders];
}
