// What the boxes install: release folders of two versions as `npm run build` makes them, and of broken ones.
import { chmod, cp, link, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "#tests/support/debian.ts";
import { NEW_VERSION, OLD_VERSION } from "#tests/systemd/site/scope.ts";
import { ROOT } from "../../../scripts/binaries.ts";

/** What broken agents do in any run but `--version`, which works as it should. */
const BROKEN: Readonly<Record<string, string>> = {
  exits: "exit 70",
  silent: "exec sleep 1000000",
  liar: 'exec /srv/old/gpu-agent "$@"',
};
const SUMS = "SHA256SUMS";

/**
 * `old` is the checkout as it is, `new` the same with another version; `exits`, `silent` and `liar` are as `new` with a
 * broken agent, and `tampered` has an agent that is not what SHA256SUMS says.
 * @param dir gets a folder for each
 */
export async function makeReleases(dir: string): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), "gpu-courier-releases-"));
  try {
    for (const name of ["src", "scripts", "systemd", "install.sh", "package-lock.json"])
      await cp(join(ROOT, name), join(copy, name), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    await build(copy, OLD_VERSION, join(dir, "old"));
    await build(copy, NEW_VERSION, join(dir, "new"));
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  for (const [name, does] of Object.entries(BROKEN)) {
    await variant(dir, name, `#!/bin/sh\n[ "$1" != --version ] || { echo ${NEW_VERSION}; exit; }\n${does}\n`);
    const files = await filesOf(join(dir, name));
    await Bun.write(join(dir, name, SUMS), await run(["sha256sum", ...files], { cwd: join(dir, name) }));
  }
  await variant(dir, "tampered", "#!/bin/sh\ntouch /tampered\n");
}

/** A release of a copy of the checkout. */
async function build(copy: string, version: string, folder: string): Promise<void> {
  const description: object = await Bun.file(join(ROOT, "package.json")).json();
  await Bun.write(join(copy, "package.json"), JSON.stringify({ ...description, version }));
  await run([process.execPath, "scripts/build.ts"], { cwd: copy });
  await run(["mv", join(copy, "dist"), folder]);
}

/** As `new`, with another agent; what is the same is linked. */
async function variant(dir: string, name: string, agent: string): Promise<void> {
  const [from, to] = [join(dir, "new"), join(dir, name)];
  for (const file of [...(await filesOf(from)), SUMS]) {
    await mkdir(dirname(join(to, file)), { recursive: true });
    await link(join(from, file), join(to, file));
  }
  // New files in their place: those of `new` stay as they are.
  await rm(join(to, SUMS));
  await cp(join(from, SUMS), join(to, SUMS));
  await rm(join(to, "gpu-agent"));
  await Bun.write(join(to, "gpu-agent"), agent);
  await chmod(join(to, "gpu-agent"), 0o755);
}

async function filesOf(release: string): Promise<string[]> {
  const names = [...new Bun.Glob("**").scanSync({ cwd: release })];
  return names.filter((name) => name !== SUMS).toSorted();
}
