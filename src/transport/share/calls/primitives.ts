// The file calls that the share driver uses, implemented by a local and a network table.
import type { BigIntStats } from "node:fs";
import { systemCode } from "../../../base/errors.ts";

/** A call's result: at once from a local disk, which cannot hang; through the file pool from a network. */
export type Awaitable<T> = T | Promise<T>;

/** The kernel's facts about one name. */
export interface Facts {
  readonly kind: "file" | "folder" | "link" | "other";
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly nlink: number;
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Each call throws the system's own error; failures.ts maps it, once. */
export interface Primitives {
  open(path: string, flags: number, mode?: number): Awaitable<number>;
  close(file: number): Awaitable<void>;
  /** Continues where the last read ended. @returns bytes read; 0 at the end */
  read(file: number, into: Buffer, offset: number): Awaitable<number>;
  /** Writes all of it. */
  write(file: number, bytes: Buffer): Awaitable<void>;
  fsync(file: number): Awaitable<void>;
  fstat(file: number): Awaitable<Facts>;
  fchmod(file: number, mode: number): Awaitable<void>;
  fchown(file: number, uid: number, gid: number): Awaitable<void>;
  lstat(path: string): Awaitable<Facts>;
  /** Throws unless this user may; a network file system asks its server. @param mode R_OK, W_OK, X_OK */
  access(path: string, mode: number): Awaitable<void>;
  readdir(path: string): Awaitable<string[]>;
  mkdir(path: string, mode: number): Awaitable<void>;
  rmdir(path: string): Awaitable<void>;
  rename(from: string, to: string): Awaitable<void>;
  link(existing: string, path: string): Awaitable<void>;
  unlink(path: string): Awaitable<void>;
  /** Follows links: only for the share's own path, which the operator chose. */
  stat(path: string): Awaitable<Facts>;
  /** The magic number of the file system. */
  statfs(path: string): Awaitable<number>;
}

const TYPE_BITS = 0o170000;
const KINDS: Readonly<Record<number, Facts["kind"]>> = { 0o100000: "file", 0o040000: "folder", 0o120000: "link" };

export function factsOf(stats: BigIntStats): Facts {
  const mode = Number(stats.mode);
  return {
    kind: KINDS[mode & TYPE_BITS] ?? "other",
    size: Number(stats.size),
    mtimeNs: stats.mtimeNs,
    ino: stats.ino,
    dev: stats.dev,
    nlink: Number(stats.nlink),
    mode: mode & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
  };
}

/** A file is not read again while these are equal. The mode counts: it may have become readable. */
export function isSameFile(a: Facts, b: Facts): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ino === b.ino && a.mode === b.mode;
}

/**
 * True when the name was removed or replaced between a listing and its use: list again, there is nothing to report. A server
 * answers ESTALE for what was removed or replaced while this machine still knew it.
 */
export function isGone(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOENT" || code === "ESTALE" || code === "ENOTDIR";
}
