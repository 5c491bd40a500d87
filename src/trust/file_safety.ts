// Whether only root and the user of a program may write to a file that it believes.

/** Of a file. */
export interface FileFacts {
  readonly uid: bigint;
  readonly mode: bigint;
}

export interface FileFault {
  readonly reason: string;
  readonly hint: string;
}

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
