// What the boxes install: release folders of two versions with the real binaries, and of broken ones. Imports Node, Bun,
// scripts/binaries.
import { chmod, cp, link, mkdir, mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARIES, cachedBinary, ROOT } from "../../../scripts/binaries.ts";
import { run } from "../../support/debian.ts";
import { NEW_VERSION } from "../scope.ts";

/**
 * A new agent that looks whole: it tells its version, like a binary that works, and then does something else.
 */
const BROKEN: Readonly<Record<string, string>> = {
  /** Ends at once. */
  exits: "exit 70",
  /** Runs and never says that it is ready. */
  silent: "exec sleep 1000000",
  /** Works, and is another version than it says. */
  liar: 'exec /srv/old/gpu-agent "$@"',
};

/**
 * `old` is the checkout as it is, `new` the same with another version number, `exits`, `silent` and `liar` are as `new`
 * with an agent that is broken, and `tampered` has an agent that is not what SHA256SUMS says.
 * @param dir gets a folder for each
 */
export async function makeReleases(dir: string): Promise<void> {
  await makeRelease(join(dir, "old"), cachedBinary);
  await makeRelease(join(dir, "new"), await otherVersion());
  for (const [name, body] of Object.entries(BROKEN)) {
    const script = `#!/bin/sh\n[ "$1" != --version ] || { echo ${NEW_VERSION}; exit; }\n${body}\n`;
    await variant(dir, name, script);
    await sums(join(dir, name));
  }
  await variant(dir, "tampered", "#!/bin/sh\ntouch /tampered\n");
}

type BinaryOf = (name: string) => Promise<string>;

async function makeRelease(folder: string, binaryOf: BinaryOf): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { name } of BINARIES) await cp(await binaryOf(name), join(folder, name));
  for (const name of ["install.sh", "systemd"]) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await sums(folder);
}

/** As `new`, with another agent; what is the same is linked. */
async function variant(dir: string, name: string, agent: string): Promise<void> {
  const [from, to] = [join(dir, "new"), join(dir, name)];
  await mkdir(to);
  for (const file of ["gpu-server", "gpuctl"]) await link(join(from, file), join(to, file));
  for (const file of ["install.sh", "systemd", "SHA256SUMS"])
    await cp(join(from, file), join(to, file), { recursive: true });
  await Bun.write(join(to, "gpu-agent"), agent);
  await chmod(join(to, "gpu-agent"), 0o755);
}

/** Over all files of a release, install.sh and those that it installs. */
async function sums(folder: string): Promise<void> {
  const names = [...new Bun.Glob("**").scanSync({ cwd: folder })].filter((name) => name !== "SHA256SUMS").toSorted();
  await Bun.write(join(folder, "SHA256SUMS"), await run(["sha256sum", ...names], { cwd: folder }));
}

/** The binaries of a copy of the checkout that has another version; built once, as those of the checkout itself. */
async function otherVersion(): Promise<BinaryOf> {
  const copy = await mkdtemp(join(tmpdir(), "gpu-courier-version-"));
  try {
    for (const path of ["src", "scripts", "package-lock.json"])
      await cp(join(ROOT, path), join(copy, path), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    const description: object = await Bun.file(join(ROOT, "package.json")).json();
    await Bun.write(join(copy, "package.json"), JSON.stringify({ ...description, version: NEW_VERSION }));
    const program =
      'const { cachedBinary } = await import("./scripts/binaries.ts"); ' +
      "for (const name of process.argv.slice(1)) console.log(await cachedBinary(name));";
    const names = BINARIES.map(({ name }) => name);
    const printed = await run([process.execPath, "-e", program, ...names], { cwd: copy });
    const paths = await Promise.all(
      printed
        .trim()
        .split("\n")
        .map(async (path) => await realpath(path)),
    );
    return async (name) => paths[names.indexOf(name)] ?? "";
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
