// What the virtual machine is made of, from Debian's packages: fetched with apt-get into a cache and only unpacked.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { APT_GET, requireTools, run, updateOr } from "#tests/support/debian.ts";

/** Of the machine itself; the libraries that they need are found by their dependencies. */
const PACKAGES = [
  "busybox-static iproute2 netbase passwd",
  "nfs-common nfs-kernel-server rpcbind",
  "cifs-utils samba samba-common-bin samba-libs",
].flatMap((names) => names.split(" "));
/** Its newest version depends on one kernel, the one that is meant. */
const KERNEL = "linux-image-cloud-amd64";
/** Commands of this machine, and which package has each. */
const EMULATOR = [
  { command: "qemu-system-x86_64", package: "qemu-system-x86" },
  { command: "mkfs.ext4", package: "e2fsprogs" },
];
const ONLY_DEPENDS = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(
  (no) => `--no-${no}`,
);

/** Sees to it that this machine can start the other one, as {@link requireTools} does. */
export async function requireEmulator(): Promise<void> {
  await requireTools(EMULATOR, "Cannot start a virtual machine");
}

/**
 * The packages' files in a folder, fetched unless they are there.
 * @returns their paths, in order
 * @throws Error saying what to do when apt-get has no lists, or its mirror cannot be reached
 */
export async function fetchPackages(folder: string): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  try {
    return await fetchMissing(folder);
  } catch (error) {
    // There are no lists yet, or they name files that the mirror has no more.
    await updateOr(error instanceof Error ? error.message : String(error), []);
    return await fetchMissing(folder);
  }
}

async function fetchMissing(folder: string): Promise<readonly string[]> {
  const wanted = await resolve();
  const present = new Set(await readdir(folder));
  const missing = wanted.filter(({ file }) => !present.has(file)).map(({ name }) => name);
  if (missing.length > 0) await run([...APT_GET, "download", ...missing], { cwd: folder });
  return wanted.map(({ file }) => join(folder, file)).toSorted();
}

/** The packages asked for with their dependencies, and the file names of the versions that apt-get would fetch. */
async function resolve(): Promise<{ name: string; file: string }[]> {
  const [kernel] = (await dependsOn([KERNEL])).filter((name) => name.startsWith("linux-image-"));
  if (kernel === undefined) throw new Error(`apt-get knows no package ${KERNEL}`);
  const names = new Set([kernel, ...PACKAGES]);
  for (let layer: readonly string[] = PACKAGES; layer.length > 0; ) {
    const libraries = (await dependsOn(layer)).filter((name) => /^(?:lib|zlib)/.test(name) && !names.has(name));
    for (const name of libraries) names.add(name);
    layer = [...new Set(libraries)];
  }
  const lines = await run([...APT_GET, "--print-uris", "download", ...names]);
  const files = lines.matchAll(/^'[^']*' ((\S+?)_\S+) /gm);
  return [...files].map(([, file = "", name = ""]) => ({ name, file }));
}

/** Direct dependencies; of alternatives the last, and no virtual ones. */
async function dependsOn(names: readonly string[]): Promise<string[]> {
  const text = await run(["apt-cache", "depends", ...ONLY_DEPENDS, ...names]);
  return [...text.matchAll(/^ {2}(?:Pre)?Depends: ([a-z0-9.+-]+)$/gm)].map(([, name = ""]) => name);
}
