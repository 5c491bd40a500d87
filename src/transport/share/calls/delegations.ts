// Opens files on NFSv4 so that their server need not ask for them back before someone replaces or removes them.
import { constants } from "node:fs";
import { systemCode } from "../../../base/errors.ts";
import type { Primitives } from "./primitives.ts";

const { O_DIRECT, O_DIRECTORY, O_RDWR, O_WRONLY } = constants;
const OTHER_OPENS = O_WRONLY | O_RDWR | O_DIRECTORY;

/**
 * The same calls. Files that are opened for reading are not delegated to this machine: an NFSv4 server may delegate a file to
 * the client that reads it, and recalls it before another client may rename something over it or remove it. That client waits
 * 100 ms, and for the server's lease time, 90 s by default, when the reader's machine was cut off. An agent could not publish
 * its state meanwhile. Measured on Linux 6.1, NFSv4.2, 2026-11: a rename takes 0.4 ms, after a delegation 101 ms, and 13 s with
 * a lease time of 10 s and the reader cut off.
 *
 * The kernel asks for no delegation when the open is direct: nfs4_map_atomic_open_share() in fs/nfs/nfs4proc.c, for 4.1 and
 * later. A direct read costs a call more, at the end of the file; the recall costs one too.
 */
export function withoutDelegations(fs: Primitives): Primitives {
  const open: Primitives["open"] = async (path, flags, mode) => {
    if ((flags & OTHER_OPENS) !== 0) return await fs.open(path, flags, mode);
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
