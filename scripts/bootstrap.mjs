// Runs Bun from this checkout with the given arguments; installs what is missing first.
// Needs only node and npm: Bun is an npm package whose binary sits in a platform package, so no install script has to run.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamp = join(root, "node_modules", ".gpu-courier-lock");

function lockDigest() {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

function installed() {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === lockDigest() && bunBinary() !== undefined;
}

function bunBinary() {
  const arch = { x64: "x64", arm64: "aarch64" }[process.arch];
  const musl = process.platform === "linux" && !process.report?.getReport().header.glibcVersionRuntime ? "-musl" : "";
  const require = createRequire(import.meta.url);
  try {
    return join(dirname(require.resolve(`@oven/bun-${process.platform}-${arch}${musl}/package.json`)), "bin", "bun");
  } catch {
    return undefined;
  }
}

function install() {
  console.error("Setting up: npm ci (Bun and the packages of package-lock.json, once) ...");
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) {
    console.error(
      "Cannot install: npm ci failed. Check that npm reaches its registry, then run the same command again",
    );
    process.exit(status ?? 1);
  }
  writeFileSync(stamp, lockDigest());
}

if (!installed()) install();
const bun = bunBinary();
if (bun === undefined) {
  console.error(`Cannot find Bun for ${process.platform} ${process.arch}: npm has no @oven/bun package for it`);
  process.exit(1);
}
const run = spawnSync(bun, process.argv.slice(2), { stdio: "inherit", cwd: root });
if (run.error) throw run.error;
process.exit(run.status ?? 128 + 15);
