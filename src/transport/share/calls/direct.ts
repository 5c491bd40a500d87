// Opens files past the kernel's cache on NFS: a process that writes one can end while the server is away, and a server of
// version 4 need not ask for one back before someone replaces or removes it.
import { constants } from "node:fs";
import { systemCode } from "../../../base/errors.ts";
import type { Primitives } from "./primitives.ts";

const { O_DIRECT, O_DIRECTORY, O_RDWR, O_WRONLY } = constants;

/** Which opens are direct, by the kernel's name of the file system. */
const DIRECT: Readonly<Record<string, { readonly reading: boolean }>> = {
  nfs: { reading: false },
  nfs4: { reading: true },
};

/**
 * The same calls for this file system. On NFS, files are opened with `O_DIRECT`; all others are opened as they were.
 *
 * **For writing.** Otherwise the close sends what was written, and waits for the server in a way that no signal interrupts: a
 * process that a stopped server caught just then did not end until the server was back, not even by SIGKILL. A direct write can
 * be interrupted, and sends the same calls. Measured on Linux 6.1, 2026-11: 8.6 s, the rest of the outage, or 4 ms; direct 4 ms.
 *
 * **For reading, on NFSv4.** A server may delegate a file to the client that reads it, and recalls it before another client may
 * rename something over it or remove it. That client waits 100 ms, and for the server's lease time, 90 s by default, when the
 * reader's machine was cut off. An agent could not publish its state meanwhile. Measured on Linux 6.1, NFSv4.2, 2026-11: a
 * rename takes 0.4 ms, after a delegation 101 ms, and 13 s with a lease time of 10 s and the reader cut off. The kernel asks for
 * no delegation when the open is direct: nfs4_map_atomic_open_share() in fs/nfs/nfs4proc.c, for 4.1 and later. A direct read
 * costs a call more, at the end of the file; the recall costs one too.
 */
export function openingDirectly(fs: Primitives, type: string): Primitives {
  const direct = DIRECT[type];
  if (direct === undefined) return fs;
  const open: Primitives["open"] = async (path, flags, mode) => {
    const isWriting = (flags & (O_WRONLY | O_RDWR)) !== 0;
    if ((flags & O_DIRECTORY) !== 0 || !(isWriting || direct.reading)) return await fs.open(path, flags, mode);
    try {
      return await fs.open(path, flags | O_DIRECT, mode);
    } catch (error) {
      // A folder or a FIFO in place of a file: only files can be opened so.
      if (systemCode(error) !== "EINVAL") throw error;
      return await fs.open(path, flags, mode);
    }
  };
  return { ...fs, open };
}
