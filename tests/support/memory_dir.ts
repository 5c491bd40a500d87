// Folders in memory, for databases of tests that are not about the disk: SQLite waits for it at each commit.
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MEMORY = "/dev/shm";

/** Makes one; among the other temporary folders where this machine has no file system in memory. The caller removes it. */
export function memoryDir(prefix: string): string {
  return mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), prefix));
}
