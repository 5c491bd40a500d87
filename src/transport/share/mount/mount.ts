// The kind of file system that a share is on, by its magic number and by the mount table.
import { mountOf, readMounts } from "./table.ts";

/** Kinds whose changes all go through the kernel of this machine, by magic number (statfs(2)). */
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

/** Every other kind counts as a network: that works everywhere, only slower. */
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
  /** `ext4`, `nfs`; also the content of the remembered file. */
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
 * The mount's own name for its kind, which is more precise: `nfs4`, `ext3`, `fuse.sshfs`. From /proc, which never hangs.
 * @returns null when the device is in no mount entry, as on btrfs
 */
export function mountedAs(device: bigint): string | null {
  return mountOf(readMounts(), device)?.type ?? null;
}
