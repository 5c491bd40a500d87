// `npm run test:nfs`: the binaries on real network file systems. Starts two virtual machines side by side, each with an NFS server,
// an SMB server and three separate clients, and runs the tests of this folder in them.
//
//   npm run test:nfs                    the short form, about ten minutes
//   npm run test:nfs -- --full          the full figures
//   npm run test:nfs -- outage doctor   some of the files
//   CHAOS_SEEDS=5 npm run test:nfs -- --full chaos   the chaos test alone, five times
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Boot, bootImage, makeDisk } from "#tests/nfs/host/image.ts";
import { runMachine } from "#tests/nfs/host/machine.ts";
import { fetchPackages, requireEmulator } from "#tests/nfs/host/packages.ts";
import { run } from "#tests/support/debian.ts";

/** `outage` for outage_test.ts. */
const FILES = [...new Bun.Glob("*_test.ts").scanSync({ cwd: import.meta.dir })]
  .map((name) => name.slice(0, -"_test.ts".length))
  .toSorted();
/** These keep one machine busy about as long as all others keep the other: each has one processor, emulated. */
const SECOND = new Set(["ending", "failover", "fleet", "mirror", "outage"]);
/** In the short form only when they are asked for. */
const LONG = new Set(["chaos"]);
/** Far more than it takes. */
const LIMIT_S = { short: 880, full: 3_600 };

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { full: { type: "boolean", default: false } },
  });
  const unknown = positionals.filter((name) => !FILES.includes(name));
  if (unknown.length > 0) throw new Error(`There is no ${unknown.join(", ")} here, only ${FILES.join(", ")}`);
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(`Cannot emulate the binaries of ${process.platform} ${process.arch}: this needs Linux on x64`);
  }
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "gpu-courier", "nfs");
  const dir = await mkdtemp(join(tmpdir(), "gpu-courier-nfs-"));
  try {
    await mkdir(cache, { recursive: true });
    await requireEmulator();
    const boot = await bootImage(await fetchPackages(join(cache, "packages")), cache);
    const files = positionals.length > 0 ? positionals : FILES.filter((name) => values.full || !LONG.has(name));
    return await runMachines(boot, dir, files, values.full);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** @returns 0 when both passed; the output of the first is shown as it comes, that of the second at the end */
async function runMachines(boot: Boot, dir: string, files: readonly string[], full: boolean): Promise<number> {
  const made = await makeDisk(dir);
  const limitS = LIMIT_S[full ? "full" : "short"];
  const groups = [files.filter((name) => !SECOND.has(name)), files.filter((name) => SECOND.has(name))];
  const held: string[] = [];
  const hold = (line: string): void => void held.push(line);
  const print = (line: string): void => void process.stdout.write(line);
  const machines = groups
    .filter((group) => group.length > 0)
    .map(async (group, index) => {
      const own = join(dir, String(index));
      await mkdir(own);
      const disk = join(own, "disk");
      await run(["cp", "--sparse=always", made, disk]);
      const settings = { suite: group.join(","), full: full ? "1" : "", ...chaosSettings() };
      return await runMachine({ boot, disk, dir: own, settings, limitS, write: index === 0 ? print : hold });
    });
  const statuses = await Promise.all(machines);
  process.stdout.write(held.join(""));
  return Math.max(...statuses);
}

/** What the chaos test is asked for: empty unless it is given. */
function chaosSettings(): Readonly<Record<string, string>> {
  const { SEED: seed = "", CHAOS_SEEDS: seeds = "" } = process.env;
  if (![seed, seeds].every((text) => /^\d*$/.test(text))) throw new Error("SEED and CHAOS_SEEDS must be numbers");
  return { seed, seeds };
}

try {
  process.exitCode = await main(Bun.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
