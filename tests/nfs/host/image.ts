// What the virtual machine starts from: a kernel and a root in memory, cached, and a disk with what is tested.
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run } from "#tests/support/debian.ts";
import { BINARIES, buildBinary, cachedBinary, ROOT } from "../../../scripts/binaries.ts";

export interface Boot {
  readonly kernel: string;
  /** A cpio archive, uncompressed: emulation takes longer to unpack it than to read it. */
  readonly root: string;
}

const INIT = join(import.meta.dir, "../guest/init");
/** With all that these depend on. */
const MODULES = [
  "virtio_pci virtio_blk virtio_rng veth bridge sch_netem loop",
  "nfs nfsv3 nfsv4 nfs_layout_nfsv41_files nfs_layout_flexfiles nfsd",
  // What signs and encrypts SMB is no dependency that depmod knows.
  "cifs nls_utf8 ccm cmac ctr ecb gcm sha512_generic aesni_intel",
].flatMap((names) => names.split(" "));
/** Of the packages, in the root: no documentation, no kernel and not all of its modules. */
const KEPT = ["bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib", "etc"];
const EMPTY = ["proc", "sys", "dev", "run", "tmp", "mnt", "disk", "root", "var/lib/nfs/sm.bak", "var/lib/nfs/sm"];
const DISK_MB = 3000;
/** File systems of their own, in files: one for each version of NFS. */
const SPARE_DISKS = ["spare-3.ext4", "spare-4.2.ext4"];

/** An agent that signs nothing: no release has it. */
const WITHOUT_KEY = { name: "agent-without-key", source: "scripts/bench/agent_without_key.ts" };

/**
 * Kernel and root, made from the packages unless that was done before.
 * @param cache where they are kept; those of other packages or other sources are removed
 * @returns paths that stay while nobody changes packages or sources
 */
export async function bootImage(packages: readonly string[], cache: string): Promise<Boot> {
  const folder = join(cache, `boot-${await digest(packages)}`);
  const boot = { kernel: join(folder, "vmlinuz"), root: join(folder, "root.cpio") };
  if (await Bun.file(boot.root).exists()) return boot;
  const making = await mkdtemp(join(cache, "making-"));
  try {
    await makeBoot(packages, making);
    for (const name of await readdir(cache))
      if (name.startsWith("boot-")) await rm(join(cache, name), { recursive: true, force: true });
    await rename(join(making, "boot"), folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return boot;
}

async function digest(packages: readonly string[]): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256").update(packages.map((path) => basename(path)).join("\n"));
  for (const source of [INIT, import.meta.path]) hasher.update(await Bun.file(source).arrayBuffer());
  return hasher.digest("hex").slice(0, 16);
}

async function makeBoot(packages: readonly string[], dir: string): Promise<void> {
  const [unpacked, root, boot] = [join(dir, "unpacked"), join(dir, "root"), join(dir, "boot")];
  for (const path of packages) await run(["dpkg-deb", "-x", path, unpacked]);
  const [version = ""] = await readdir(join(unpacked, "lib/modules"));
  const modules = await modulesOf(unpacked, version);
  for (const folder of [boot, ...EMPTY.map((name) => join(root, name))]) await mkdir(folder, { recursive: true });
  await rename(join(unpacked, "boot", `vmlinuz-${version}`), join(boot, "vmlinuz"));
  await rename(join(unpacked, "lib/modules"), join(dir, "modules"));
  for (const name of KEPT)
    await cp(join(unpacked, name), join(root, name), { recursive: true, verbatimSymlinks: true });
  for (const path of modules) {
    const target = join(root, "lib/modules", version, path);
    await mkdir(dirname(target), { recursive: true });
    await cp(join(dir, "modules", version, path), target);
  }
  await run([join(unpacked, "bin/busybox"), "depmod", "-b", root, version]);
  await linkBusybox(root);
  await cp(INIT, join(root, "init"));
  await chmod(join(root, "init"), 0o755);
  const archive = 'cd "$1" && find . | "$2" cpio -o -H newc -R 0:0 >"$3"';
  await run(["sh", "-c", archive, "-", root, join(unpacked, "bin/busybox"), join(boot, "root.cpio")]);
}

/** Paths below the modules' folder, those that others need included. */
async function modulesOf(unpacked: string, version: string): Promise<ReadonlySet<string>> {
  await run([join(unpacked, "bin/busybox"), "depmod", "-b", unpacked, version]);
  const text = await Bun.file(join(unpacked, "lib/modules", version, "modules.dep")).text();
  const dependencies = new Map(
    text.split("\n").map((line) => {
      const [path = "", needed = ""] = line.split(":");
      return [path, needed.split(" ").filter((name) => name !== "")];
    }),
  );
  const wanted = new Set<string>();
  const add = (path: string): void => {
    if (wanted.has(path)) return;
    wanted.add(path);
    for (const needed of dependencies.get(path) ?? []) add(needed);
  };
  const nameOf = (path: string): string =>
    basename(path)
      .replace(/\.ko.*$/, "")
      .replaceAll("-", "_");
  const paths = new Map([...dependencies.keys()].map((path) => [nameOf(path), path]));
  for (const name of MODULES) {
    const path = paths.get(name);
    if (path === undefined) throw new Error(`Kernel ${version} has no module ${name}`);
    add(path);
  }
  return wanted;
}

/** Every applet that no package brings under its name. */
async function linkBusybox(root: string): Promise<void> {
  const taken = new Set<string>();
  for (const folder of ["bin", "sbin", "usr/bin", "usr/sbin"])
    for (const name of await readdir(join(root, folder))) taken.add(name);
  const applets = (await run([join(root, "bin/busybox"), "--list"])).trim().split("\n");
  for (const name of applets) if (!taken.has(name)) await symlink("busybox", join(root, "bin", name));
}

/** For the programs that run there from their sources: the simulated Ollama, and the suite of the transports, which imports all drivers. */
const PACKAGES = ["node_modules/zod", "node_modules/@nats-io", "node_modules/tweetnacl"];

/**
 * The disk: the binaries, Bun, the suite with what it imports, and room for the exported shares.
 * @param dir a folder of its own, whose owner removes it
 */
export async function makeDisk(dir: string): Promise<string> {
  const [stage, disk] = [join(dir, "stage"), join(dir, "disk")];
  await mkdir(join(stage, "bin"), { recursive: true });
  for (const { name } of BINARIES) await cp(await cachedBinary(name), join(stage, "bin", name));
  await buildBinary(WITHOUT_KEY, join(stage, "bin", WITHOUT_KEY.name));
  await cp(process.execPath, join(stage, "bin/bun"));
  for (const path of ["src", "tests", "sim", "scripts", "package.json", ...PACKAGES])
    await cp(join(ROOT, path), join(stage, "suite", path), { recursive: true });
  for (const name of SPARE_DISKS) {
    await run(["truncate", "-s", "64M", join(stage, name)]);
    await run(["mkfs.ext4", "-q", "-F", join(stage, name)]);
  }
  await run(["truncate", "-s", `${DISK_MB}M`, disk]);
  await run(["mkfs.ext4", "-q", "-F", "-d", stage, disk]);
  await rm(stage, { recursive: true });
  return disk;
}
