// File calls on a network file system: each on a pool thread and through the gate, so that a hung server blocks neither
// the event loop nor the whole pool. Imports node:fs.
import {
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
import type { Gate } from "./gate.ts";
import { factsOf, type Primitives } from "./primitives.ts";

const calls = {
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

export function networkPrimitives(gate: Gate): Primitives {
  const pass = gate.run.bind(gate);
  return {
    // An open that was given up on and succeeds later must not keep its descriptor.
    open: async (path, flags, mode) =>
      await gate.run(
        async () => await calls.open(path, flags, mode ?? 0),
        (file) => close(file, () => undefined),
      ),
    close: async (file) => await pass(async () => await calls.close(file)),
    read: async (file, into, offset) =>
      (await pass(async () => await calls.read(file, into, offset, into.length - offset, null))).bytesRead,
    write: async (file, bytes) => {
      for (let written = 0; written < bytes.length; ) {
        const from = written;
        const { bytesWritten } = await pass(
          async () => await calls.write(file, bytes, from, bytes.length - from, null),
        );
        written += bytesWritten;
      }
    },
    fsync: async (file) => await pass(async () => await calls.fsync(file)),
    fstat: async (file) => factsOf(await pass(async () => await calls.fstat(file, BIG))),
    fchmod: async (file, mode) => await pass(async () => await calls.fchmod(file, mode)),
    fchown: async (file, uid, gid) => await pass(async () => await calls.fchown(file, uid, gid)),
    lstat: async (path) => factsOf(await pass(async () => await calls.lstat(path, BIG))),
    readdir: async (path) => await pass(async () => await calls.readdir(path)),
    mkdir: async (path, mode) => await pass(async () => await calls.mkdir(path, mode)),
    rmdir: async (path) => await pass(async () => await calls.rmdir(path)),
    rename: async (from, to) => await pass(async () => await calls.rename(from, to)),
    link: async (existing, path) => await pass(async () => await calls.link(existing, path)),
    unlink: async (path) => await pass(async () => await calls.unlink(path)),
    stat: async (path) => factsOf(await pass(async () => await calls.stat(path, BIG))),
    statfs: async (path) => (await pass(async () => await calls.statfs(path))).type,
  };
}
