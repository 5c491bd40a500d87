// What a release folder holds besides the binaries: settings that know every flag, pinned runtimes, install.sh's own help.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import lock from "../package-lock.json" with { type: "json" };
import { TARGETS } from "../scripts/runtimes.ts";

const ROOT = join(import.meta.dir, "..");
/** A share is made by install.sh, and the state folder is the unit's. */
const NO_SETTINGS = ["GPU_COURIER_INIT", "GPU_COURIER_STATE_DIR"];

async function run(...command: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { PATH: process.env["PATH"] },
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
  ])("every flag of %s is a comment of %s, with a comment of its own", async (face, settings) => {
    const { stdout } = await run(process.execPath, face, "--help");
    const text = await Bun.file(join(ROOT, settings)).text();
    expect(keysIn(text)).toEqual(keysIn(stdout).filter((key) => !NO_SETTINGS.includes(key)));
    const [, ...paragraphs] = text.trim().split("\n\n");
    for (const paragraph of paragraphs) expect(paragraph).toMatch(/^# \S.*\n#GPU_COURIER_[A-Z_]+=\S+$/);
  });
});

describe("runtimes", () => {
  test("are those of the Bun that builds, and those that the lockfile knows too", () => {
    const packages: Readonly<Record<string, { version?: string; integrity?: string }>> = lock.packages;
    const known = TARGETS.map((target) => ({ target, entry: packages[`node_modules/${target.package}`] }));
    for (const { target, entry } of known) if (entry !== undefined) expect(entry.integrity).toBe(target.integrity);
    expect(known.filter(({ entry }) => entry?.version === Bun.version).length).toBe(4);
  });
});

describe("install.sh", () => {
  test("--help fits 80 columns and names each option's variable by its rule", async () => {
    const { status, stdout } = await run("sh", "install.sh", "--help");
    expect([status, stdout.split("\n").filter((line) => line.length > 80)]).toEqual([0, []]);
    expect(stdout.match(/^ {2}--[a-z-]+/gm)).toHaveLength(15);
  });

  test.each([
    [["--bogus"], "Unknown option: --bogus"],
    [["--name"], "--name needs a value"],
    [["--dry-run=yes"], "--dry-run takes no value"],
    [["--role", "client"], "Unknown role: client"],
    [["--share", "shared"], "Not an absolute path: shared"],
    [["--purge"], "--purge and --restore go with --uninstall"],
    [["--role", "server", "--name", "gpu-1"], "--name, --ollama and --restore are for --role agent"],
    [["--share", "/mnt/a'b"], "Quotes, backslashes and control characters cannot be kept: /mnt/a'b"],
  ])("%j is refused with what is wrong and what to do", async (flags, message) => {
    const { status, stderr } = await run("sh", "install.sh", ...flags);
    expect([status, stderr]).toEqual([64, expect.stringMatching(/^install\.sh: .*\n {2}\S.*\n$/)]);
    expect(stderr).toContain(`install.sh: ${message}\n`);
  });
});
