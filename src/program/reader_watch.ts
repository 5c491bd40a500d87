// Notices that nobody reads a stream any more, without writing to it: Bun, like Node, learns that only at the next write.
import { dlopen } from "bun:ffi";

/** Long enough to cost nothing, and short enough for a person who waits for the prompt. */
const LOOK_MS = 250;
/** poll(2): the other end of a pipe is closed, or of a socket or terminal. */
const [POLLERR, POLLHUP] = [0x8, 0x10];
/** The C library of Linux, also with musl, which takes any name of libc for itself; and of macOS. */
const LIBRARY = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";

/**
 * Calls `gone` once when the reader of a file descriptor is gone. A file always has one. Does not keep the process alive.
 * @throws Error when this machine's C library cannot be opened
 */
export function watchReader(fd: number, gone: () => void): void {
  const { poll } = dlopen(LIBRARY, { poll: { args: ["ptr", "u64", "i32"], returns: "i32" } }).symbols;
  const timer = setInterval(() => {
    if (!hasNoReader(poll, fd)) return;
    clearInterval(timer);
    gone();
  }, LOOK_MS);
  timer.unref();
}

type Poll = (fds: Int16Array, count: number, timeoutMs: number) => number;

/** A `struct pollfd`: the descriptor takes the first half, `events` and `revents` the rest. */
function hasNoReader(poll: Poll, fd: number): boolean {
  const entry = new Int32Array([fd, 0]);
  const halves = new Int16Array(entry.buffer);
  if (poll(halves, 1, 0) < 1) return false;
  return ((halves[3] ?? 0) & (POLLERR | POLLHUP)) !== 0;
}
