// This process's mounts as the kernel lists them, read without asking any file system.
import { readFileSync } from "node:fs";

/** One line of mountinfo. */
export interface Mount {
  /** `major:minor`. */
  readonly device: string;
  readonly point: string;
  readonly type: string;
  /** The device, or the server with its path. */
  readonly source: string;
  /** Those of the mount and those of the file system. */
  readonly options: readonly string[];
}

/** In order, from /proc, which never hangs; empty where there is no /proc. */
export function readMounts(): Mount[] {
  try {
    return parseMounts(readFileSync("/proc/self/mountinfo", "utf8"));
  } catch {
    return [];
  }
}

/** @see proc_pid_mountinfo(5) */
export function parseMounts(text: string): Mount[] {
  return text.split("\n").flatMap((line) => {
    const [own = "", foreign = ""] = line.split(" - ");
    const [, , device = "", , point = "", options = ""] = own.split(" ");
    const [type = "", source = "", ofFileSystem = ""] = foreign.split(" ");
    if (type === "") return [];
    const all = new Set([...options.split(","), ...ofFileSystem.split(",")]);
    return [{ device, point: plainText(point), type, source: plainText(source), options: [...all] }];
  });
}

/**
 * The mount of a device.
 * @param likely preferred when it is on that device: one device may be mounted at several points
 * @returns null when no line has the device, as on btrfs
 */
export function mountOf(mounts: readonly Mount[], device: bigint, likely: Mount | null = null): Mount | null {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  const name = `${major}:${minor}`;
  return likely?.device === name ? likely : (mounts.find((mount) => mount.device === name) ?? null);
}

/** The mount that a path is in: the deepest, and of those at one point the last, which covers the others. Follows no links. */
export function mountAt(mounts: readonly Mount[], path: string): Mount | null {
  const covers = ({ point }: Mount): boolean => point === "/" || path === point || path.startsWith(`${point}/`);
  return mounts.filter(covers).reduce<Mount | null>((deepest, mount) => {
    return deepest !== null && deepest.point.length > mount.point.length ? deepest : mount;
  }, null);
}

/** Space, tab, line break and backslash are written in octal. */
function plainText(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
