// The machines that a release is for, and the Bun that its binaries for each of them hold.
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";

export interface Target {
  /** What the names of its binaries end with: `gpu-agent-linux-x64-musl`. */
  readonly name: string;
  readonly compile: Bun.Build.CompileTarget;
  /** The npm package of its Bun. */
  readonly package: string;
  /** Of that package's archive, as npm and its lockfile write it. */
  readonly integrity: string;
}

/** What the digests are of; another Bun needs others: `npm view @oven/bun-linux-x64@1.4.5 dist.integrity`. */
const PINNED_VERSION = "1.4.5";

export const TARGETS: readonly Target[] = [
  {
    name: "linux-x64",
    compile: "bun-linux-x64",
    package: "@oven/bun-linux-x64",
    integrity: "sha512-IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==",
  },
  {
    // For processors without AVX2. Of 1.4.5 it is the same, byte by byte, as the plain one.
    name: "linux-x64-baseline",
    compile: "bun-linux-x64-baseline",
    package: "@oven/bun-linux-x64-baseline",
    integrity: "sha512-s8yMwYcFnnrA178gji0gZbkE2WVDej/Ti1x770oPfihxyRxSMNhGhiAQNXV53aDeraZxksdvKV/RAdQBCd0qPA==",
  },
  {
    name: "linux-arm64",
    compile: "bun-linux-arm64",
    package: "@oven/bun-linux-aarch64",
    integrity: "sha512-4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==",
  },
  {
    name: "linux-x64-musl",
    compile: "bun-linux-x64-musl",
    package: "@oven/bun-linux-x64-musl",
    integrity: "sha512-10QoW/YfTgnURaGEaHpJCiXjLI2e5iTtfVDaA5JKcyUzaa1cq6cVUY9/Uq5XkYzvtRjHLRe9Oj/lTDIQcxy8HQ==",
  },
  {
    name: "linux-x64-baseline-musl",
    compile: "bun-linux-x64-baseline-musl",
    package: "@oven/bun-linux-x64-musl-baseline",
    integrity: "sha512-cWJhU8h0+MiUgpSt99sQhjxLIIosKEcKYdtKddohokUvAuN6jKOy7g7+QDTZTXtwHxz93wL3BX+L6wXVPDUH3A==",
  },
  {
    name: "linux-arm64-musl",
    compile: "bun-linux-arm64-musl",
    package: "@oven/bun-linux-aarch64-musl",
    integrity: "sha512-XCNc+WvvMAdNNb+OWTogpy+N9wm62fkVeEVLb6how0RZhW5LPi6c7BlkeVCuWps7XjEl2saFpHFa20/1E+PAHg==",
  },
];

/** The machines that only gpuctl is for: operators' own. Nothing here runs there, so that these programs are untested. */
export const OPERATOR_TARGETS: readonly Target[] = [
  {
    name: "darwin-x64",
    compile: "bun-darwin-x64",
    package: "@oven/bun-darwin-x64",
    integrity: "sha512-qkLPMGHZM9NI6CeHTWwVezzmlo6cC4Ta7yUAjYIWXS366qQcOlcp75t2uZyiuVRBMPS0h9qE0tCcvCHGaFqjJg==",
  },
  {
    name: "darwin-arm64",
    compile: "bun-darwin-arm64",
    package: "@oven/bun-darwin-aarch64",
    integrity: "sha512-4MIFXHmctH2EhAxLXm2/qxNtv17dFtLJylvaOCsrgq6KSqHTs6eW5YSrJjRbJxYUJaR901fsN8JfZOa+CsWpWQ==",
  },
];

/**
 * Fetches a target's Bun, unless an earlier call did.
 * @param cache a folder, made when it is not there
 * @returns the path of its binary
 * @throws Error when npm cannot fetch it, or what came is not what was pinned
 */
export async function runtimeOf(target: Target, cache: string): Promise<string> {
  if (Bun.version !== PINNED_VERSION) {
    throw new Error(`Cannot take Bun for ${target.name}: the digests are of ${PINNED_VERSION}, this is ${Bun.version}`);
  }
  const path = join(cache, `${target.name}-${target.integrity.slice(7, 19).replaceAll("/", "_")}`);
  if (await Bun.file(path).exists()) return path;
  await mkdir(cache, { recursive: true });
  const temp = await mkdtemp(join(cache, "fetching-"));
  try {
    const archive = await fetchArchive(target, temp);
    await run(["tar", "-xzf", archive, "-C", temp, "package/bin/bun"]);
    await chmod(join(temp, "package/bin/bun"), 0o755);
    await rename(join(temp, "package/bin/bun"), path);
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
  return path;
}

/** @returns the path of an archive that is the pinned one */
async function fetchArchive(target: Target, into: string): Promise<string> {
  const wanted = `${target.package}@${PINNED_VERSION}`;
  await run(["npm", "pack", wanted, "--pack-destination", into, "--ignore-scripts", "--loglevel=error"]);
  const archive = [...new Bun.Glob("*.tgz").scanSync({ cwd: into, absolute: true })][0];
  if (archive === undefined) throw new Error(`Cannot fetch ${wanted}: npm pack left no archive`);
  const hasher = new Bun.CryptoHasher("sha512").update(await Bun.file(archive).arrayBuffer());
  const integrity = `sha512-${hasher.digest("base64")}`;
  if (integrity === target.integrity) return archive;
  throw new Error(`Cannot take ${wanted}: it is ${integrity}, pinned is ${target.integrity}`);
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "pipe"] });
  const [problem, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`${command.slice(0, 3).join(" ")} ends with status ${status}\n${problem.trim()}`);
}
