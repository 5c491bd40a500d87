// File calls on a local disk: synchronous, 2 to 30 us each where the pool costs 100 (Bun 1.4.5).
import {
  accessSync,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdir,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";
import { factsOf, type Primitives } from "./primitives.ts";

const pool = { fsync: promisify(fsync), readdir: promisify(readdir) };
/** Some thousands of names. A folder of 50,000 costs 30 ms on our thread, or 2 ms of it when the pool lists (Bun 1.4.5). */
const LARGE_FOLDER_BYTES = 128 * 1024;

export const localPrimitives: Primitives = {
  open: openSync,
  close: closeSync,
  read: (file, into, offset) => readSync(file, into, offset, into.length - offset, null),
  write: (file, bytes) => {
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
  },
  // The only call that may take seconds on a local disk, during the download of a model: not on our thread.
  fsync: pool.fsync,
  fstat: (file) => factsOf(fstatSync(file, { bigint: true })),
  fchmod: fchmodSync,
  fchown: fchownSync,
  access: accessSync,
  lstat: (path) => factsOf(lstatSync(path, { bigint: true })),
  readdir: (path) => (statSync(path).size < LARGE_FOLDER_BYTES ? readdirSync(path) : pool.readdir(path)),
  mkdir: (path, mode) => mkdirSync(path, mode),
  rmdir: (path) => rmdirSync(path),
  rename: renameSync,
  link: linkSync,
  unlink: unlinkSync,
  stat: (path) => factsOf(statSync(path, { bigint: true })),
  statfs: (path) => statfsSync(path).type,
};
