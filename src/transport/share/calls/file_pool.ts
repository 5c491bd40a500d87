// The pool of threads on which Bun makes asynchronous file calls. Imports bun:ffi.
import { dlopen } from "bun:ffi";

/** As many calls may hang on a share before everything else that reads files stops. */
const THREADS = 16;
/** Where the parts of a compiled program lie. */
const BINARY = "/$bunfs/";
const LIBC = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

/**
 * Gives the pool 16 threads instead of one for each CPU, unless `UV_THREADPOOL_SIZE` says otherwise. Only before the
 * process's first asynchronous file call: Bun reads the variable then, from the C library, which `process.env` does not
 * reach (seen with 1.4.5). Where that cannot be done, the pool stays as it is: also in a program run from its sources,
 * which Bun loads by that pool.
 */
export function widenFilePool(): void {
  if (process.env["UV_THREADPOOL_SIZE"] !== undefined || !Bun.main.startsWith(BINARY)) return;
  const libc = LIBC.map(openLibc).find((opened) => opened !== null);
  if (libc?.symbols.setenv(cString("UV_THREADPOOL_SIZE"), cString(String(THREADS)), 1) !== 0) return;
  process.env["UV_THREADPOOL_SIZE"] = String(THREADS);
}

function openLibc(name: string) {
  try {
    return dlopen(name, { setenv: { args: ["cstring", "cstring", "i32"], returns: "i32" } });
  } catch {
    // Another C library.
    return null;
  }
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}
