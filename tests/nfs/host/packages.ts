// What the virtual machine is made of, from Debian's packages: fetched with apt-get into a cache and only unpacked.
// Imports Node and Bun.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Of the machine itself; the libraries that they need are found by their dependencies. */
const PACKAGES = ["busybox-static", "iproute2", "netbase", "nfs-common", "nfs-kernel-server", "passwd", "rpcbind"];
/** Its newest version depends on one kernel, the one that is meant. */
const KERNEL = "linux-image-cloud-amd64";
/** Commands of this machine, and which package has each. */
const TOOLS = [
  { command: "qemu-system-x86_64", package: "qemu-system-x86" },
  { command: "mkfs.ext4", package: "e2fsprogs" },
];
/** Without this apt-get as root fetches as another user, who may not write here. */
const APT_GET = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root"];
const ONLY_DEPENDS = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(
  (no) => `--no-${no}`,
);

/**
 * Sees to it that the tools are there that the machine is started with; root gets those that are missing installed.
 * @throws Error naming what is missing and the command that installs it
 */
export async function requireTools(): Promise<void> {
  if (Bun.which("apt-get", { PATH: searchPath() }) === null) {
    throw new Error("Cannot fetch Debian's packages: no apt-get here. Run it on Debian 12");
  }
  const missing = TOOLS.filter(({ command }) => Bun.which(command, { PATH: searchPath() }) === null);
  if (missing.length === 0) return;
  const names = missing.map((tool) => tool.package);
  await updateOr(
    `Cannot start a virtual machine: ${missing.map(({ command }) => command).join(" and ")} missing`,
    names,
  );
  await run([...APT_GET, "install", "-y", "--no-install-recommends", ...names], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}

/** Where Debian keeps the tools of root too, whoever asks. */
export function searchPath(): string {
  return `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
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

/** What is asked for, with all libraries it needs, and the file names of the versions that apt-get would fetch. */
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

/** Fetches apt-get's lists anew, as root. @throws Error with the reason and what to do by hand, as another user */
async function updateOr(reason: string, install: readonly string[]): Promise<void> {
  if (process.getuid?.() === 0) {
    await run([...APT_GET, "update"]);
    return;
  }
  const then = install.length === 0 ? "" : ` && sudo apt-get install ${install.join(" ")}`;
  throw new Error(`${reason}. Run as root: sudo apt-get update${then}`);
}

/** @returns what it wrote on stdout. @throws Error with all that it wrote when it fails */
export async function run(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: Record<string, string | undefined> } = {},
): Promise<string> {
  const env = { ...(options.env ?? process.env), PATH: searchPath() };
  const child = Bun.spawn([...command], { ...options, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return stdout;
  throw new Error(`Cannot run "${command.join(" ")}":\n${stdout}${stderr}`.trim());
}
