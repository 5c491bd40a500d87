// Folders of the share taken away on the server's side and put back, and small disks that can be filled.
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "#tests/support/debian.ts";
import type { SeededRandom } from "#tests/support/random.ts";

/** From `fromMs` to `toMs`. */
export async function pause(random: SeededRandom, fromMs: number, toMs: number): Promise<void> {
  await Bun.sleep(fromMs + random.below(toMs - fromMs));
}

/** The empty share, the folder beside it, and the mount point. */
export function makeShare({ server, aside, mountPoint }: { server: string; aside: string; mountPoint: string }): void {
  for (const folder of [mountPoint, aside, join(server, "gpu_commands"), join(server, "gpu_status")]) {
    mkdirSync(folder, { recursive: true });
  }
}

/**
 * Renames a folder out of the share for some time. What appeared in its place meanwhile is moved into it, so that nothing is
 * lost but by the agents.
 * @returns whether there was something in its place; null when the folder is not there, because its agent has not made the
 *   one again that was removed
 */
export async function renameAway(folder: string, aside: string, ms: number): Promise<boolean | null> {
  const kept = join(aside, basename(folder));
  if (!existsSync(folder)) return null;
  renameSync(folder, kept);
  await Bun.sleep(ms);
  for (let round = 0; ; round++) {
    const replacement = join(aside, `${basename(folder)}.${round}`);
    const isReplaced = existsSync(folder);
    if (isReplaced) renameSync(folder, replacement);
    try {
      renameSync(kept, folder);
      for (let each = 0; each <= round; each++) moveInto(join(aside, `${basename(folder)}.${each}`), folder);
      return isReplaced || round > 0;
    } catch (error) {
      // It was made again just now.
      if (round > 20 || !existsSync(folder)) throw error;
    }
  }
}

/** Removes a folder if it is empty: the kernel sees to that. @returns whether it was */
export function removeEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

/** Mounts an empty file system of that size, in memory. */
export async function mountMemory(folder: string, bytes: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await run(["mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder]);
}

/** Writes a file until nothing fits any more. @returns what removes it */
export function fillDisk(folder: string): () => void {
  const filler = join(folder, "filler");
  for (let bytes = 1024 * 1024; bytes >= 1024; ) {
    try {
      writeFileSync(filler, Buffer.alloc(bytes), { flag: "a" });
    } catch {
      bytes /= 4;
    }
  }
  return () => rmSync(filler, { force: true });
}

/** Newer files replace those of the same name. */
function moveInto(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) moveInto(source, target);
    else renameSync(source, target);
  }
  rmSync(from, { recursive: true, force: true });
}
