// Runs Bun from this checkout with the given arguments; installs what is missing first. Plain node, imports nothing else.
// Bun is an npm package whose binary is in a platform package: no install script has to run, and `node_modules/.bin/bun`,
// which needs one, is not used.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, lstatSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { constants as system } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const lock = join(root, ".install-lock");
/** An owner's process id may be another process's by now: so old a lock holds nobody back. */
const LOCK_MAX_AGE_MS = 15 * 60_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
const INSTALL =
  "ci --ignore-scripts --include=dev --include=optional --package-lock --install-strategy=hoisted --no-fund --no-audit --loglevel=error";

function readLock(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Whether every package of the lock is here. npm writes node_modules/.package-lock.json when all the rest is written. */
function isInstalled() {
  const wanted = readLock("package-lock.json");
  const present = readLock("node_modules/.package-lock.json");
  if (wanted === undefined || present === undefined || bunBinary() === undefined) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === "") return true;
    // Those of other platforms are optional and not here.
    if (present[path] === undefined) return optional === true;
    return present[path].version === version && existsSync(join(root, path, "package.json"));
  });
}

function bunBinary() {
  const arch = { x64: "x64", arm64: "aarch64" }[process.arch];
  const binary = join(
    root,
    "node_modules",
    "@oven",
    `bun-${process.platform}-${arch}${isMusl() ? "-musl" : ""}`,
    "bin/bun",
  );
  try {
    accessSync(binary, constants.X_OK);
    return binary;
  } catch {
    return undefined;
  }
}

function isMusl() {
  if (process.platform !== "linux") return false;
  // Without this the report looks up the names of open connections' peers.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined;
}

/**
 * Runs to the end. Signals for this process go to the child, and a SIGTERM when npm's shell, which passes nothing on, is gone.
 * @returns its exit status (128 + n when signal n ended it), the signal that was passed on, what it wrote to pipes
 */
function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, ...options });
    let passedOn;
    const forward = (signal) => {
      passedOn = signal;
      child.kill(signal);
    };
    for (const signal of SIGNALS) process.on(signal, forward);
    const parent = process.ppid;
    const orphaned = () => process.env.npm_lifecycle_event !== undefined && process.ppid !== parent;
    const watch = setInterval(() => orphaned() && forward("SIGTERM"), 250);
    let output = "";
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearInterval(watch);
      for (const name of SIGNALS) process.off(name, forward);
      resolve({ status: status ?? 128 + system.signals[signal], passedOn, output });
    });
  });
}

function lockOwnerLives() {
  try {
    if (Date.now() - lstatSync(lock).mtimeMs > LOCK_MAX_AGE_MS) return false;
    process.kill(Number(readlinkSync(lock)), 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** One installation at a time. The lock is a link to its owner's process id: made, with what it says, in one step. */
async function takeLock() {
  for (;;) {
    try {
      symlinkSync(String(process.pid), lock);
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (lockOwnerLives()) await sleep(200);
    else rmSync(lock, { force: true });
  }
}

/** @returns 0, or the exit status to end with */
async function install() {
  await takeLock();
  try {
    if (isInstalled()) return 0;
    console.error("Setting up, once: npm fetches Bun and the packages that package-lock.json names ...");
    const { status, passedOn, output } = await run("npm", INSTALL.split(" "), { stdio: ["ignore", "pipe", "pipe"] });
    if (passedOn !== undefined) return 128 + system.signals[passedOn];
    if (status === 0) return 0;
    console.error(
      `${output.trim()}\nCannot install: npm ci failed. Check that npm reaches its registry, then run the same command again`,
    );
    return status;
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    console.error(
      "Cannot install: there is no npm on the PATH. Install Node.js with npm, then run the same command again",
    );
    return 1;
  } finally {
    rmSync(lock, { force: true });
  }
}

async function main() {
  const failure = isInstalled() ? 0 : await install();
  if (failure !== 0) return failure;
  const bun = bunBinary();
  if (bun !== undefined) return (await run(bun, process.argv.slice(2), { stdio: "inherit" })).status;
  console.error(`Cannot find Bun for ${process.platform} ${process.arch}: npm has no package of it`);
  return 1;
}

process.exitCode = await main();
