// `npm run test:nfs`: the binaries on a real network file system. Starts a virtual machine with an NFS server and three
// separate clients and runs the tests of this folder in it. Imports the parts of host/.
//
//   npm run test:nfs                    the short form, about five minutes
//   npm run test:nfs -- --full          the full figures
//   npm run test:nfs -- outage doctor   some of the files
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bootImage, makeDisk } from "./host/image.ts";
import { runMachine } from "./host/machine.ts";
import { fetchPackages, requireEmulator } from "./host/packages.ts";

/** `outage` for outage_test.ts. */
const FILES = [...new Bun.Glob("*_test.ts").scanSync({ cwd: import.meta.dir })]
  .map((name) => name.slice(0, -"_test.ts".length))
  .toSorted();
/** Far more than it takes where nothing else runs. */
const LIMIT_S = { short: 840, full: 3_600 };

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
    const disk = await makeDisk(dir);
    const files = positionals.length > 0 ? positionals : FILES;
    const settings = { suite: files.join(","), full: values.full ? "1" : "" };
    return await runMachine({ boot, disk, dir, settings, limitS: LIMIT_S[values.full ? "full" : "short"] });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main(Bun.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
