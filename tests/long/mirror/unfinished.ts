// What fetches have left unfinished in the mirror of a share.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Without the small files of writes that a kill has cut off: those stay for a week. */
export function unfinishedFiles(share: string): readonly string[] {
  const folder = join(share, "gpu_models", ".tmp");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name.endsWith("-partial")).map((name) => join(folder, name));
}

/** A file that a fetch finishes meanwhile counts nothing. */
export function unfinishedBytes(share: string): number {
  const sizes = unfinishedFiles(share).map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, size) => sum + size, 0);
}
