// src/transport/share/calls/direct.ts: files are opened past the kernel's cache where it does harm.
import { expect, test } from "bun:test";
import { constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemCode } from "#src/base/errors.ts";
import { openingDirectly } from "#src/transport/share/calls/direct.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";

const { O_CREAT, O_DIRECT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

/** File calls that note the flags of each open, and refuse some as a kernel does. */
function noting(type: string, refuses: (flags: number) => boolean = () => false, code = "EINVAL") {
  const opened: number[] = [];
  const open: Primitives["open"] = async (_, flags) => {
    opened.push(flags);
    if (refuses(flags)) throw Object.assign(new Error(code), { code });
    return 7;
  };
  return { opened, fs: openingDirectly({ ...poolPrimitives, open }, type) };
}

const READING = O_RDONLY | O_NOFOLLOW;
const WRITING = O_WRONLY | O_CREAT;

test.each([
  ["nfs4", "for reading, so that the server does not delegate it", READING],
  ["nfs4", "for writing, so that the process can end", WRITING],
  ["nfs", "for writing, so that the process can end", WRITING],
])("on %s, open() is direct %s", async (type, _, flags) => {
  const { opened, fs } = noting(type);
  expect(await fs.open("state", flags)).toBe(7);
  expect(opened).toEqual([flags | O_DIRECT]);
});

test.each([
  ["nfs", "for reading", READING],
  ["nfs", "of a folder", O_RDONLY | O_DIRECTORY],
  ["nfs4", "of a folder", O_RDONLY | O_DIRECTORY],
  ["cifs", "for writing", WRITING],
  ["fuse", "for reading", READING],
])("on %s, open() is as it was %s", async (type, _, flags) => {
  const { opened, fs } = noting(type);
  await fs.open("name", flags);
  expect(opened).toEqual([flags]);
});

test("open() is as it was when the kernel opens only files directly", async () => {
  const { opened, fs } = noting("nfs4", (flags) => (flags & O_DIRECT) !== 0);
  expect(await fs.open("folder", O_RDONLY)).toBe(7);
  expect(opened).toEqual([O_RDONLY | O_DIRECT, O_RDONLY]);
});

test("open() throws any other error at once", async () => {
  const { opened, fs } = noting("nfs4", () => true, "ENOENT");
  expect(await Promise.resolve(fs.open("gone", O_RDONLY)).catch(systemCode)).toBe("ENOENT");
  expect(opened.length).toBe(1);
});

test("the other calls are the same", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-direct-"));
  try {
    writeFileSync(join(dir, "state"), "text");
    const fs = openingDirectly(poolPrimitives, "nfs4");
    expect(await fs.readdir(dir)).toEqual(["state"]);
    expect((await fs.lstat(join(dir, "state"))).size).toBe(4);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
