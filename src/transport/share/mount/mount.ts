// What kind of file system the share is on, and whether it is the one it was. Imports the mount table; node:fs for state files.
import { existsSync, lstatSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { systemCode } from "../../../base/errors.ts";
import { Layout } from "../layout.ts";
import { mountAt, mountOf, readMounts } from "./table.ts";

/** Kinds whose changes the kernel of this machine sees itself, by magic number (statfs(2)). */
const LOCAL: Readonly<Record<number, string>> = {
  0x0000ef53: "ext4",
  0x01021994: "tmpfs",
  0x2fc12fc1: "zfs",
  0x58465342: "xfs",
  0x794c7630: "overlay",
  0x9123683e: "btrfs",
  0xca451a4e: "bcachefs",
  0xf2f52010: "f2fs",
};

/** Everything else is taken for a network: that works everywhere, only slower. */
const NETWORK: Readonly<Record<number, string>> = {
  0x00006969: "nfs",
  0x00c36400: "ceph",
  0x01021997: "9p",
  0x0bd00bd0: "lustre",
  0x19830326: "beegfs",
  0x47504653: "gpfs",
  0x65735546: "fuse",
  0xfe534d42: "smb2",
  0xff534d42: "cifs",
};

export interface Kind {
  /** `ext4`, `nfs`; stands in the remembered file. */
  readonly name: string;
  readonly isNetwork: boolean;
}

/** @param magic `f_type` of statfs */
export function kindOf(magic: number): Kind {
  const type = magic >>> 0;
  const local = LOCAL[type];
  if (local !== undefined) return { name: local, isNetwork: false };
  return { name: NETWORK[type] ?? `type-${type.toString(16)}`, isNetwork: true };
}

/**
 * The mount's own word for its kind, which is finer: `nfs4`, `ext3`, `fuse.sshfs`. From /proc, which never hangs.
 * @returns null when the device is in no mount entry, as on btrfs
 */
export function mountedAs(device: bigint): string | null {
  return mountOf(readMounts(), device)?.type ?? null;
}

/**
 * Whether a share is surely on a local disk, told before it is asked anything that may hang: the mount table says so, and
 * what lies there is no empty mount point.
 */
export function isSurelyLocal(root: string): boolean {
  const mounts = readMounts();
  // From the root down: nothing is asked of what may hang, and a link may lead there.
  const steps = root.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/") || "/");
  const isLocal = steps.every((step) => isLocalType(mountAt(mounts, step)?.type ?? "") && isNoLink(step));
  return isLocal && existsSync(new Layout(root).commands.path);
}

function isLocalType(type: string): boolean {
  return Object.values(LOCAL).includes(type) || /^ext[23]$/.test(type);
}

/** What this user cannot see is unknown to be none. */
function isNoLink(path: string): boolean {
  try {
    return !lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** @returns null when none was remembered; an empty file, as a power cut leaves it, remembers none */
export function readRememberedKind(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim() || null;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}

export function rememberKind(file: string, { name }: Kind): void {
  writeFileSync(`${file}.new`, `${name}\n`);
  renameSync(`${file}.new`, file);
}
