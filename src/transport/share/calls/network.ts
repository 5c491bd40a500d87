// File calls on a network file system: on pool threads and through the gate, so that a hung server blocks neither the
// event loop nor the whole pool.
import {
  access,
  close,
  fchmod,
  fchown,
  fstat,
  fsync,
  link,
  lstat,
  mkdir,
  open,
  read,
  readdir,
  rename,
  rmdir,
  stat,
  statfs,
  unlink,
  write,
} from "node:fs";
import { promisify } from "node:util";
import { repeated } from "./momentary.ts";
import { factsOf, type Primitives } from "./primitives.ts";
import type { Gate } from "./stall_gate.ts";

const calls = {
  access: promisify(access),
  close: promisify(close),
  fchmod: promisify(fchmod),
  fchown: promisify(fchown),
  fstat: promisify(fstat),
  fsync: promisify(fsync),
  link: promisify(link),
  lstat: promisify(lstat),
  mkdir: promisify(mkdir),
  open: promisify(open),
  read: promisify(read),
  readdir: promisify(readdir),
  rename: promisify(rename),
  rmdir: promisify(rmdir),
  stat: promisify(stat),
  statfs: promisify(statfs),
  unlink: promisify(unlink),
  write: promisify(write),
};
const BIG = { bigint: true } as const;

/** Each on a pool thread: costs 100 us, and a server that hangs blocks only that thread. */
export const poolPrimitives: Primitives = {
  open: async (path, flags, mode) => await calls.open(path, flags, mode ?? 0),
  close: calls.close,
  read: async (file, into, offset) => (await calls.read(file, into, offset, into.length - offset, null)).bytesRead,
  write: async (file, bytes) => {
    for (let written = 0; written < bytes.length; ) {
      written += (await calls.write(file, bytes, written, bytes.length - written, null)).bytesWritten;
    }
  },
  fsync: calls.fsync,
  fstat: async (file) => factsOf(await calls.fstat(file, BIG)),
  fchmod: calls.fchmod,
  fchown: calls.fchown,
  access: calls.access,
  lstat: async (path) => factsOf(await calls.lstat(path, BIG)),
  readdir: async (path) => await calls.readdir(path),
  mkdir: async (path, mode) => await calls.mkdir(path, mode),
  rmdir: async (path) => await calls.rmdir(path),
  rename: calls.rename,
  link: calls.link,
  unlink: calls.unlink,
  stat: async (path) => factsOf(await calls.stat(path, BIG)),
  statfs: async (path) => (await calls.statfs(path)).type,
};

/** The same calls, each through the gate. Every access to a network share uses these. */
export function gatedPrimitives(fs: Primitives, gate: Gate): Primitives {
  const listings = new ListingTimes();
  const unsent = new Map<number, number>();
  return {
    open: async (path, flags, mode) => await openThrough(fs, gate, async () => await fs.open(path, flags, mode)),
    close: async (file) => {
      const sending = sendingMs(unsent.get(file) ?? 0);
      unsent.delete(file);
      await closeThrough(fs, gate, file, sending);
    },
    read: async (file, into, offset) => await gate.run(async () => await fs.read(file, into, offset)),
    write: async (file, bytes) => {
      unsent.set(file, bytes.length);
      await gate.run(async () => await fs.write(file, bytes), { stalledAfterMs: sendingMs(bytes.length) });
    },
    fsync: async (file) =>
      await gate.run(async () => await fs.fsync(file), { stalledAfterMs: sendingMs(unsent.get(file) ?? 0) }),
    fstat: async (file) => await gate.run(async () => await fs.fstat(file)),
    fchmod: async (file, mode) => await gate.run(async () => await fs.fchmod(file, mode)),
    fchown: async (file, uid, gid) => await gate.run(async () => await fs.fchown(file, uid, gid)),
    access: async (path, mode) => await gate.run(async () => await fs.access(path, mode)),
    lstat: async (path) => await gate.run(async () => await fs.lstat(path)),
    readdir: async (path) =>
      await gate.run(async () => listings.note(path, await fs.readdir(path)), {
        stalledAfterMs: listings.stalledAfterMs(path),
      }),
    mkdir: async (path, mode) => await gate.run(async () => await fs.mkdir(path, mode)),
    rmdir: async (path) => await gate.run(async () => await fs.rmdir(path)),
    rename: async (from, to) =>
      await repeated("rename", async () => await gate.run(async () => await fs.rename(from, to))),
    link: async (existing, path) => await gate.run(async () => await fs.link(existing, path)),
    unlink: async (path) => await gate.run(async () => await fs.unlink(path)),
    stat: async (path) => await gate.run(async () => await fs.stat(path)),
    statfs: async (path) => await gate.run(async () => await fs.statfs(path)),
  };
}

/** The slowest connection to a server that counts as working, in bytes a second; written data may be sent by the close. */
const SLOWEST = 256 * 1024;

/** @returns undefined for as long as any other call */
function sendingMs(bytes: number): number | undefined {
  return bytes <= SLOWEST ? undefined : 2_000 + (bytes / SLOWEST) * 1_000;
}

/** An abandoned open that succeeds later must not keep its descriptor. */
async function openThrough(fs: Primitives, gate: Gate, opening: () => Promise<number>): Promise<number> {
  return await repeated("open", async () => await gate.run(opening, { late: (file) => void closeLate(fs, file) }));
}

/** A descriptor must be closed even while the gate is closed: then as soon as it opens. */
async function closeThrough(
  fs: Primitives,
  gate: Gate,
  file: number,
  stalledAfterMs: number | undefined,
): Promise<void> {
  let isBegun = false;
  const begin = async (): Promise<void> => {
    isBegun = true;
    await fs.close(file);
  };
  try {
    await gate.run(begin, { stalledAfterMs });
  } catch (error) {
    if (!isBegun) void gate.opened().then(async () => await closeLate(fs, file));
    throw error;
  }
}

/** For more names a server needs more than one response, and a busy one takes seconds. */
const LONG_LISTING = 1_000;
const LONG_LISTING_MS = 30_000;
const REMEMBERED_LISTINGS = 1_000;

/** How long a listing may take, judged by its last length. A first listing counts as long. */
class ListingTimes {
  readonly #short = new Set<string>();

  note(path: string, names: string[]): string[] {
    this.#short.delete(path);
    if (names.length > LONG_LISTING) return names;
    if (this.#short.size >= REMEMBERED_LISTINGS) this.#short.clear();
    this.#short.add(path);
    return names;
  }

  /** @returns undefined for as long as any other call */
  stalledAfterMs(path: string): number | undefined {
    return this.#short.has(path) ? undefined : LONG_LISTING_MS;
  }
}

async function closeLate(fs: Primitives, file: number): Promise<void> {
  try {
    await fs.close(file);
  } catch {
    // Nothing uses this descriptor any more.
  }
}
