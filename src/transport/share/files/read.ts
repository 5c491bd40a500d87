// Reads listed files: regular ones only, to the end, up to a limit, and never blocked by a planted FIFO or link.
import { constants } from "node:fs";
import { join } from "node:path";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { type Facts, isGone, isSameFile, type Primitives } from "../calls/primitives.ts";
import { ownership } from "../folders/folders.ts";
import type { Folder } from "../layout.ts";
import type { Share } from "../share.ts";

/**
 * The result of a look at a listed name. `unreadable` may pass: an EIO is as often the network's as the disk's, and another
 * program may have locked the file. One such file does not stop the others from being read.
 */
export type Look =
  | { readonly is: "gone" }
  | { readonly is: "same" }
  | { readonly is: "unreadable"; readonly error: unknown }
  | Found;

/** The file's bytes, or why it is refused unread; `denial` is the error when this user may not read it, which may pass. */
export type Found =
  | { readonly is: "read"; readonly facts: Facts; readonly bytes: Buffer }
  | { readonly is: "refused"; readonly facts: Facts; readonly reason: string; readonly denial?: Error };

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

const DENIED = "is not readable by this user";
const UNREADABLE: Readonly<Record<string, string>> = {
  ELOOP: "is a link",
  ENXIO: "is not a regular file",
  EACCES: DENIED,
  EPERM: DENIED,
};

/**
 * Opens and reads one file.
 * @param known the facts of the last reading: an unchanged file is not read again
 * @param into more than `maxBytes`, to be read into: the next reading overwrites the bytes that this one returns
 */
export async function look(
  fs: Primitives,
  path: string,
  maxBytes: number,
  known?: Facts,
  into?: Buffer,
): Promise<Look> {
  try {
    // O_NONBLOCK: opening a FIFO without a writer would wait forever.
    const file = await fs.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      return await lookInto(fs, file, { maxBytes, known, into });
    } finally {
      await fs.close(file);
    }
  } catch (error) {
    if (isGone(error)) return { is: "gone" };
    const code = systemCode(error);
    // Ours is of the whole share, as when it stalls.
    if (code === undefined || error instanceof CourierError) throw error;
    const reason = UNREADABLE[code];
    return reason === undefined ? { is: "unreadable", error } : await refuse(fs, path, { reason, error, known });
  }
}

interface Reading {
  readonly maxBytes: number;
  readonly known: Facts | undefined;
  readonly into: Buffer | undefined;
}

async function lookInto(fs: Primitives, file: number, { maxBytes, known, into }: Reading): Promise<Look> {
  const facts = await fs.fstat(file);
  if (known !== undefined && isSameFile(facts, known)) return { is: "same" };
  if (facts.kind !== "file") {
    return { is: "refused", facts, reason: facts.kind === "folder" ? "is a folder" : "is not a regular file" };
  }
  const bytes =
    facts.size > maxBytes ? null : await readToEnd(fs, file, firstBuffer(facts.size, maxBytes, into), maxBytes);
  if (bytes !== null) return { is: "read", facts, bytes };
  return { is: "refused", facts, reason: `is larger than ${maxBytes} bytes` };
}

/** The size is only the first guess: on a network file system it lags behind. */
function firstBuffer(size: number, maxBytes: number, into: Buffer | undefined): Buffer {
  const length = Math.min(Math.max(size, 1023), maxBytes) + 1;
  return into?.subarray(0, length) ?? Buffer.allocUnsafe(length);
}

/** @returns null when there is more than `maxBytes` */
async function readToEnd(fs: Primitives, file: number, first: Buffer, maxBytes: number): Promise<Buffer | null> {
  let buffer = first;
  let length = 0;
  for (;;) {
    const bytes = await fs.read(file, buffer, length);
    length += bytes;
    if (bytes === 0) return buffer.subarray(0, length);
    if (length > maxBytes) return null;
    if (length === buffer.length) buffer = Buffer.concat([buffer], Math.min(2 * length, maxBytes) + 1);
  }
}

async function refuse(
  fs: Primitives,
  path: string,
  { reason, error: denial, known }: { reason: string; error: unknown; known: Facts | undefined },
): Promise<Look> {
  try {
    const facts = await fs.lstat(path);
    if (known !== undefined && isSameFile(facts, known)) return { is: "same" };
    if (reason !== DENIED || !(denial instanceof Error)) return { is: "refused", facts, reason };
    return { is: "refused", facts, reason: `${reason}: ${ownership(facts)}`, denial };
  } catch (error) {
    if (isGone(error)) return { is: "gone" };
    throw error;
  }
}

/**
 * Looks at one file by name, after a fresh listing where one is needed.
 * @returns null when it does not exist, as `Share.lacks` decides
 * @throws CourierError `unavailable` when that is uncertain
 */
export async function lookUp(share: Share, folder: Folder, name: string, maxBytes: number): Promise<Found | null> {
  if ((await share.folder(folder)) === null) return null;
  if (share.isNetwork && !(await share.namesIn(folder)).has(name)) return null;
  return await lookUpShown(share, folder, name, maxBytes);
}

/**
 * As `lookUp`, for a name that a listing has shown and that no other file ever gets: one call fewer. On a network the
 * kernel notices by itself that the file is gone, but it may read the old content of a replaced one.
 */
export async function lookUpShown(share: Share, folder: Folder, name: string, maxBytes: number): Promise<Found | null> {
  const found = await look(share.fs, join(folder.path, name), maxBytes);
  if (found.is === "unreadable") throw found.error;
  if (found.is === "read" || found.is === "refused") return found;
  if (await share.lacks(folder, name)) return null;
  throw new CourierError("unavailable", `Cannot read ${name} in ${folder.path}: it was away for a moment`);
}

/** Throws while this user may not read the file: nothing follows from its content then. */
export function requireReadable(found: Found): void {
  if (found.is === "refused" && found.denial instanceof Error) throw found.denial;
}
