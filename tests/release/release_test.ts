// The files of a release folder other than the binaries: settings that know every flag, pinned runtimes, install.sh's own help.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { chmod, cp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import lock from "../../package-lock.json" with { type: "json" };
import { OPERATOR_TARGETS, TARGETS } from "../../scripts/runtimes.ts";

const ROOT = join(import.meta.dir, "../..");
/** Both answer as /proc/cpuinfo of another processor would. */
const GREP_WITH_AVX2 = `[ "$*" != "-qw avx2 /proc/cpuinfo" ] || exit 0\nexec ${Bun.which("grep")} "$@"`;
const GREP_WITHOUT_AVX2 = `[ "$*" != "-qw avx2 /proc/cpuinfo" ] || exit 1\nexec ${Bun.which("grep")} "$@"`;
/** A share is made by install.sh, and the state folder is the unit's. */
const NO_SETTINGS = ["GPU_COURIER_INIT", "GPU_COURIER_STATE_DIR"];

interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...command: readonly string[]): Promise<Finished> {
  return await runWith(process.env["PATH"] ?? "", ...command);
}

async function runWith(path: string, ...command: readonly string[]): Promise<Finished> {
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { PATH: path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr };
}

function keysIn(text: string): string[] {
  return [...new Set(text.match(/GPU_COURIER_[A-Z_]+/g))].toSorted();
}

describe("settings", () => {
  test.each([
    ["src/agent.ts", "systemd/agent.env"],
    ["src/server.ts", "systemd/server.env"],
  ])("every flag of %s is a comment of %s, with a comment of its own", async (program, settings) => {
    const { stdout } = await run(process.execPath, program, "--help");
    const text = await Bun.file(join(ROOT, settings)).text();
    expect(keysIn(text)).toEqual(keysIn(stdout).filter((key) => !NO_SETTINGS.includes(key)));
    const [, ...paragraphs] = text.trim().split("\n\n");
    for (const paragraph of paragraphs) expect(paragraph).toMatch(/^# \S.*\n#GPU_COURIER_[A-Z_]+=\S+$/);
  });
});

test("every package of the lockfile has a digest, so that npm checks what it fetches", () => {
  const fetched = Object.entries(lock.packages).filter(([path]) => path !== "");
  const unchecked = fetched.filter(([, entry]) => !("integrity" in entry) || !/^sha512-.{88}$/.test(entry.integrity));
  expect(unchecked.map(([path]) => path)).toEqual([]);
});

describe("runtimes", () => {
  test("are those of the Bun that builds, and those that the lockfile knows too", () => {
    const packages: Readonly<Record<string, { version?: string; integrity?: string }>> = lock.packages;
    const known = TARGETS.map((target) => ({ target, entry: packages[`node_modules/${target.package}`] }));
    for (const { target, entry } of known) if (entry !== undefined) expect(entry.integrity).toBe(target.integrity);
    expect(known.filter(({ entry }) => entry?.version === Bun.version).length).toBe(4);
  });
});

/** A release for every machine, whose programs print which they are, as of a machine with these commands. */
class Shelf {
  readonly dir = mkdtempSync(join(tmpdir(), "gpu-courier-release-"));
  readonly #release = join(this.dir, "release");

  async stock(names: readonly string[]): Promise<void> {
    await cp(join(ROOT, "install.sh"), join(this.#release, "install.sh"));
    for (const name of names)
      for (const program of ["gpu-agent", "gpuctl"]) await this.put(`release/${program}-${name}`, `echo ${name}`);
    await this.sum();
  }

  async put(path: string, does: string): Promise<void> {
    await Bun.write(join(this.dir, path), `#!/bin/sh\n${does}\n`);
    await chmod(join(this.dir, path), 0o755);
  }

  async sum(): Promise<void> {
    await run("sh", "-c", `cd ${this.#release} && sha256sum gpu* >SHA256SUMS`);
  }

  async version(): Promise<Finished> {
    const path = `${join(this.dir, "bin")}:${process.env["PATH"]}`;
    return await runWith(path, "sh", join(this.#release, "install.sh"), "--version");
  }
}

describe("install.sh of a release for every machine", () => {
  let shelf: Shelf;
  beforeEach(async () => {
    shelf = new Shelf();
    await shelf.stock([...OPERATOR_TARGETS, ...TARGETS].map(({ name }) => name));
  });
  afterEach(async () => await rm(shelf.dir, { recursive: true }));

  test.each([
    ["x86_64", "GNU libc", "linux-x64"],
    ["x86_64", "musl libc", "linux-x64-musl"],
    ["aarch64", "GNU libc", "linux-arm64"],
    ["aarch64", "musl libc", "linux-arm64-musl"],
  ])("takes for %s and %s that of %s", async (machine, libc, name) => {
    await shelf.put("bin/uname", `echo ${machine}`);
    await shelf.put("bin/ldd", `echo ${libc} >&2`);
    await shelf.put("bin/grep", GREP_WITH_AVX2);
    expect(await shelf.version()).toEqual({ status: 0, stdout: `${name}\n`, stderr: "" });
  });

  test("takes what runs without AVX2 on a processor without it, and where the other does not run", async () => {
    await shelf.put("bin/uname", "echo x86_64");
    await shelf.put("bin/ldd", "echo GNU libc");
    await shelf.put("bin/grep", GREP_WITHOUT_AVX2);
    expect((await shelf.version()).stdout).toBe("linux-x64-baseline\n");
    await shelf.put("bin/grep", GREP_WITH_AVX2);
    await shelf.put("release/gpu-agent-linux-x64", "kill -ILL $$");
    await shelf.sum();
    expect((await shelf.version()).stdout).toBe("linux-x64-baseline\n");
  });

  test("refuses a file that does not match SHA256SUMS, and names it", async () => {
    await shelf.put("bin/uname", "echo aarch64");
    await shelf.put("bin/ldd", "echo GNU libc");
    await shelf.put("release/gpuctl-linux-arm64", "echo another");
    const { status, stderr } = await shelf.version();
    expect([status, stderr]).toEqual([65, expect.stringMatching(/Wrong checksum: \S*\/gpuctl-linux-arm64 is /)]);
  });
});

describe("install.sh", () => {
  test("--help fits 80 columns and names each option's variable by its rule", async () => {
    const { status, stdout } = await run("sh", "install.sh", "--help");
    expect([status, stdout.split("\n").filter((line) => line.length > 80)]).toEqual([0, []]);
    expect(stdout.match(/^ {2}--[a-z-]+/gm)).toHaveLength(27);
  });

  test.each([
    [["--bogus"], "Unknown option: --bogus"],
    [["--name"], "--name needs a value"],
    [["--dry-run=yes"], "--dry-run takes no value"],
    [["--role", "client"], "Unknown role: client"],
    [["--share", "shared"], "Not an absolute path: shared"],
    [["--purge"], "--purge and --restore go with --uninstall"],
    [["--role", "server", "--name", "gpu-1"], "--name, --ollama, --manage-blobs and --restore are for --role agent"],
    [["--group", "disk"], "The service never joins the group disk"],
    [["--transport", "nats"], "Unknown transport: nats"],
    [["--transport", "nats://u:p@host"], "Invalid address of NATS: nats://u:p@host"],
    [["--transport", "nats://host", "--init"], "--share, --group and --init are for a share"],
    [["--transport", "share:/a", "--share", "/b"], "--transport and --share exclude each other"],
    [["--mirror-url", "https://u:p@host/mirror"], "Invalid address of the mirror: https://u:p@host/mirror"],
    [
      ["--role", "server", "--mirror-url", "https://host/mirror"],
      "--mirror-url, --mirror-token-file and --mirror-ca are for --role agent",
    ],
    [["--nats-prefix", "Lab"], "Invalid prefix: Lab"],
    [["--share", "/mnt/a'b"], "Quotes, backslashes and control characters cannot be kept: /mnt/a'b"],
  ])("%j is refused with what is wrong and what to do", async (flags, message) => {
    const { status, stderr } = await run("sh", "install.sh", ...flags);
    expect([status, stderr]).toEqual([64, expect.stringMatching(/^install\.sh: .*\n {2}\S.*\n$/)]);
    expect(stderr).toContain(`install.sh: ${message}\n`);
  });
});
