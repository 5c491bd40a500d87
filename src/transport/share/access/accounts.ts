// The user and groups of this process, and the names of users and groups on this machine.
import { readFileSync } from "node:fs";

export interface Account {
  readonly uid: number;
  readonly gid: number;
  /** The groups beside `gid` that the process started with: one that is joined later does not count yet. */
  readonly groups: readonly number[];
}

export function ownAccount(): Account {
  return { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1, groups: process.getgroups?.() ?? [] };
}

export function isMember({ gid, groups }: Account, group: number): boolean {
  return gid === group || groups.includes(group);
}

/** @returns null for a user who is not in /etc/passwd */
export function userName(uid: number): string | null {
  return nameIn("/etc/passwd", uid);
}

/** @returns null for a group that is not in /etc/group */
export function groupName(gid: number): string | null {
  return nameIn("/etc/group", gid);
}

/** Both files have the name first and the number third. */
function nameIn(file: string, id: number): string | null {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    return lines.map((line) => line.split(":")).find(([, , number]) => number === String(id))?.[0] ?? null;
  } catch {
    return null;
  }
}
