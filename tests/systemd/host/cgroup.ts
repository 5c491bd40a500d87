// A control group of a run: all that its boxes run, however it came about, ends with it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIMIT_MS = 10_000;

/** An empty group below the one that this process is in, in the version 2 hierarchy. @returns its folder */
export function makeCgroup(name: string): string {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const mount = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(mounts)?.[1];
  const own = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
  if (mount === undefined || own === undefined) {
    throw new Error("Cannot boot a box: no control groups of version 2 are mounted here");
  }
  const folder = join(mount, own, name);
  mkdirSync(folder);
  return folder;
}

/** Kills all that runs in a group and those below it, and removes them. */
export async function endCgroup(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  writeFileSync(join(folder, "cgroup.kill"), "1");
  const endsAt = performance.now() + LIMIT_MS;
  while (/^populated 1$/m.test(readFileSync(join(folder, "cgroup.events"), "utf8"))) {
    if (performance.now() > endsAt) throw new Error(`Cannot end all that runs in ${folder}`);
    await Bun.sleep(10);
  }
  removeTree(folder);
}

/** The files in it are the kernel's and go with their folder. */
function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  rmdirSync(folder);
}
