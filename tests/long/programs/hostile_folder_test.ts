// The built binaries, started in a folder that someone else filled: they must neither run nor read anything in it.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VERSION } from "#src/program/flags.ts";
import { BINARIES, cachedBinary } from "../../../scripts/binaries.ts";

const HOSTILE: Readonly<Record<string, string>> = {
  "bunfig.toml": 'preload = ["./hostile.ts"]\n[run]\npreload = ["./hostile.ts"]\n[test]\npreload = ["./hostile.ts"]\n',
  "hostile.ts": 'await Bun.write("ran", "");\nconsole.log("hostile");\n',
  ".env": "GPU_COURIER_SHARE=/hostile\nGPU_COURIER_PORT=hostile\nHOSTILE=yes\n",
  "package.json": '{"name": "hostile", "version": "6.6.6", "type": "commonjs"}',
  "tsconfig.json": '{"compilerOptions": {"baseUrl": "."}}',
};

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-hostile-"));
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** A new hostile folder, and what a program started in it prints and leaves behind. */
async function runInHostileFolder(command: readonly string[]) {
  const folder = mkdtempSync(join(dir, "folder-"));
  for (const [name, text] of Object.entries(HOSTILE)) writeFileSync(join(folder, name), text);
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("GPU_COURIER_"));
  const child = Bun.spawn([...command], {
    cwd: folder,
    env: Object.fromEntries(own),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 10_000,
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const left = readdirSync(folder).filter((name) => !(name in HOSTILE));
  return { status: await child.exited, stdout, stderr, left };
}

test("the folder is hostile: a binary built with Bun's defaults runs its code and reads its settings", async () => {
  const entry = join(dir, "naive.ts");
  const outfile = join(dir, "naive");
  writeFileSync(entry, 'console.log(process.env["HOSTILE"]);');
  await Bun.build({ entrypoints: [entry], compile: { outfile } });
  const ran = await runInHostileFolder([outfile]);
  expect({ stdout: ran.stdout, left: ran.left }).toEqual({ stdout: "hostile\nyes\n", left: ["ran"] });
});

describe.each(BINARIES.map(({ name }) => name))("%s in a hostile folder", (name) => {
  test("--version prints the version and nothing else", async () => {
    const ran = await runInHostileFolder([await cachedBinary(name), "--version"]);
    expect(ran).toEqual({ status: 0, stdout: `${VERSION}\n`, stderr: "", left: [] });
  });

  test("--help prints the defaults, not the values of .env", async () => {
    const ran = await runInHostileFolder([await cachedBinary(name), "--help"]);
    expect(ran).toMatchObject({ status: 0, stderr: "", left: [] });
    expect(ran.stdout).toStartWith(`Usage: ${name} `);
    expect(ran.stdout).toContain("/mnt/shared");
  });

  test("an unknown flag ends it with status 64 and a hint", async () => {
    const ran = await runInHostileFolder([await cachedBinary(name), "--hostile"]);
    expect(ran).toMatchObject({ status: 64, stdout: "", left: [] });
    expect(ran.stderr).toContain("unknown option '--hostile'");
  });
});

test("cachedBinary() reuses the binary of the same sources", async () => {
  const [first, second] = await Promise.all([cachedBinary("gpuctl"), cachedBinary("gpuctl")]);
  expect(second).toBe(first);
  expect(readdirSync(join(first, "..")).filter((name) => name.includes("."))).toEqual([]);
});
