// The box that all boxes of the tests start from: a Debian with systemd, made by debootstrap and cached.
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { APT_GET, run, updateOr } from "#tests/support/debian.ts";

const RELEASE = "bookworm";
/** sudo for the commands of the original notes, python3 for the legacy service, bindfs for a share that can hang. */
const PACKAGES = ["systemd", "systemd-sysv", "dbus", "procps", "sudo", "python3", "bindfs"];
/** Of no use here, and large. */
const LEFT_OUT = ["usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists"];
const GUEST = join(import.meta.dir, "../guest");
const OLLAMA = "ollama.service";
/** They start when they like, and would change files beside the tests. */
const IDLE_TIMERS = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "fstrim.timer",
];
/** /export is the share, mounted at /mnt/shared through a daemon that can be stopped. */
const FSTAB = "/export /mnt/shared fuse.bindfs allow_other,_netdev 0 0\n";

/**
 * @param cache where it is kept; those of other packages or sources are removed
 * @returns the root's path; it is never written to
 * @throws Error with what debootstrap said
 */
export async function debianRoot(cache: string): Promise<string> {
  const root = join(cache, `root-${await digest()}`);
  const known = await readdir(cache);
  if (known.includes(root.slice(cache.length + 1))) return root;
  for (const name of known) if (name.startsWith("root-")) await rm(join(cache, name), { recursive: true, force: true });
  const making = await mkdtemp(join(cache, "making-"));
  try {
    await run(["debootstrap", "--variant=minbase", `--include=${PACKAGES.join(",")}`, RELEASE, making, await mirror()]);
    await furnish(making);
    await chmod(making, 0o755);
    await rename(making, root);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return root;
}

async function digest(): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const source of [join(GUEST, OLLAMA), import.meta.path]) hasher.update(await Bun.file(source).arrayBuffer());
  return hasher.digest("hex").slice(0, 16);
}

/** Where apt-get of this machine has its packages from. */
async function mirror(): Promise<string> {
  const ask = async (): Promise<string | undefined> => {
    const format = "$(CREATED_BY) $(CODENAME) $(COMPONENT) $(REPO_URI)";
    const lines = (await run([...APT_GET, "indextargets", "--format", format])).split("\n");
    return lines.find((line) => line.startsWith(`Packages ${RELEASE} main `))?.split(" ")[3];
  };
  const found = await ask();
  if (found !== undefined) return found;
  await updateOr(`apt-get knows no mirror of ${RELEASE}`, []);
  const asked = await ask();
  if (asked === undefined) throw new Error(`apt-get knows no mirror of ${RELEASE}: run it on Debian 12`);
  return asked;
}

async function furnish(root: string): Promise<void> {
  for (const path of LEFT_OUT) await rm(join(root, path), { recursive: true, force: true });
  for (const path of ["export", "mnt/shared"]) await mkdir(join(root, path));
  await Bun.write(join(root, "etc/hostname"), "gpu-1\n");
  await Bun.write(join(root, "etc/hosts"), "127.0.0.1 localhost gpu-1\n");
  await Bun.write(join(root, "etc/fstab"), FSTAB);
  const units = join(root, "etc/systemd/system");
  await cp(join(GUEST, OLLAMA), join(units, OLLAMA));
  for (const timer of IDLE_TIMERS) await symlink("/dev/null", join(units, timer));
  await symlink(`../${OLLAMA}`, join(units, "multi-user.target.wants", OLLAMA));
}
