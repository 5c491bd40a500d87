// `npm run test:systemd`: install.sh and the units under a real systemd. Makes a Debian, boots it in containers, and runs the
// tests of this folder on them. Needs root and Linux.
//
//   npm run test:systemd                      all of it
//   npm run test:systemd -- install upgrade   some of the files
import { chmod, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { requireTools } from "#tests/support/debian.ts";
import { provideNatsServer } from "#tests/support/nats/nats_binary.ts";
import { endCgroup, makeCgroup } from "#tests/systemd/host/cgroup.ts";
import { makeReleases } from "#tests/systemd/host/releases.ts";
import { debianRoot } from "#tests/systemd/host/root.ts";
import { GROUND_VARIABLE, type Ground } from "#tests/systemd/site/scope.ts";
import { ROOT } from "../../scripts/binaries.ts";

/** `faults` for faults_test.ts. */
const FILES = [...new Bun.Glob("*_test.ts").scanSync({ cwd: import.meta.dir })]
  .map((name) => name.slice(0, -"_test.ts".length))
  .toSorted();
/** Far more than it takes where nothing else runs. */
const LIMIT_S = 840;
/** Tests that measure run first, each by itself. */
const ALONE = "first_answer";
/** Of the others at a time: mostly they wait. */
const FILES_AT_A_TIME = 4;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const TOOLS = [
  { command: "debootstrap", package: "debootstrap" },
  { command: "systemd-nspawn", package: "systemd-container" },
  { command: "shellcheck", package: "shellcheck" },
  { command: "dash", package: "dash" },
];

async function main(files: readonly string[]): Promise<number> {
  const unknown = files.filter((name) => !FILES.includes(name));
  if (unknown.length > 0) throw new Error(`There is no ${unknown.join(", ")} here, only ${FILES.join(", ")}`);
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    throw new Error("Cannot boot a box: this needs Linux, and root: sudo npm run test:systemd");
  }
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "gpu-courier", "systemd");
  await mkdir(cache, { recursive: true });
  await requireTools(TOOLS, "Cannot boot a box");
  const root = await debianRoot(cache);
  const dir = await mkdtemp(join(tmpdir(), "gpu-courier-systemd-"));
  try {
    // The users of a box go through it to what is in /srv.
    await chmod(dir, 0o755);
    const [srv, boxes] = [join(dir, "srv"), join(dir, "boxes")];
    for (const folder of [srv, boxes]) await mkdir(folder);
    await stock(srv);
    const cgroup = makeCgroup(basename(dir));
    try {
      const wanted = files.length > 0 ? files : FILES;
      const [alone, together] = [wanted.includes(ALONE) ? [ALONE] : [], wanted.filter((name) => name !== ALONE)];
      const ground = { root, srv, boxes, cgroup };
      return (await runTests(alone, 1, ground)) || (await runTests(together, FILES_AT_A_TIME, ground));
    } finally {
      await endCgroup(cgroup);
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Fills /srv of the boxes. */
async function stock(srv: string): Promise<void> {
  await makeReleases(srv);
  await cp(join(import.meta.dir, "guest"), join(srv, "guest"), { recursive: true });
  await cp(await provideNatsServer(), join(srv, "nats-server"));
  await Bun.build({ entrypoints: [join(ROOT, "sim/ollama/main.ts")], compile: { outfile: join(srv, "ollama") } });
}

/** @returns the exit status of bun test */
async function runTests(files: readonly string[], atATime: number, ground: Ground): Promise<number> {
  if (files.length === 0) return 0;
  const paths = files.map((name) => `./tests/systemd/${name}_test.ts`);
  const child = Bun.spawn([process.execPath, "test", "--path-ignore-patterns=", `--parallel=${atATime}`, ...paths], {
    cwd: ROOT,
    env: { ...process.env, [GROUND_VARIABLE]: JSON.stringify(ground) },
    stdio: ["ignore", "inherit", "inherit"],
    timeout: LIMIT_S * 1000,
  });
  // Then it ends, and what waits for that here puts all in order.
  const stop = (): void => child.kill();
  for (const signal of SIGNALS) process.on(signal, stop);
  const status = await child.exited;
  for (const signal of SIGNALS) process.off(signal, stop);
  if (child.signalCode !== null) process.stderr.write(`The tests were ended by ${child.signalCode}\n`);
  return status;
}

try {
  process.exitCode = await main(Bun.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
