// src/transport/share/calls/delegations.ts: files are opened so that an NFSv4 server does not delegate them.
import { expect, test } from "bun:test";
import { constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemCode } from "#src/base/errors.ts";
import { withoutDelegations } from "#src/transport/share/calls/delegations.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";

const { O_CREAT, O_DIRECT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

/** File calls that note the flags of each open, and refuse some as a kernel does. */
function noting(refuses: (flags: number) => boolean = () => false, code = "EINVAL") {
  const opened: number[] = [];
  const open: Primitives["open"] = async (_, flags) => {
    opened.push(flags);
    if (refuses(flags)) throw Object.assign(new Error(code), { code });
    return 7;
  };
  return { opened, fs: withoutDelegations({ ...poolPrimitives, open }) };
}

test("open() is direct for reading, which asks an NFSv4 server for no delegation", async () => {
  const { opened, fs } = noting();
  expect(await fs.open("state", O_RDONLY | O_NOFOLLOW)).toBe(7);
  expect(opened).toEqual([O_RDONLY | O_NOFOLLOW | O_DIRECT]);
});

test.each([
  ["for writing", O_WRONLY | O_CREAT],
  ["of a folder", O_RDONLY | O_DIRECTORY],
])("open() is as it was %s", async (_, flags) => {
  const { opened, fs } = noting();
  await fs.open("name", flags);
  expect(opened).toEqual([flags]);
});

test("open() is as it was when the kernel opens only files directly", async () => {
  const { opened, fs } = noting((flags) => (flags & O_DIRECT) !== 0);
  expect(await fs.open("folder", O_RDONLY)).toBe(7);
  expect(opened).toEqual([O_RDONLY | O_DIRECT, O_RDONLY]);
});

test("open() throws any other error at once", async () => {
  const { opened, fs } = noting(() => true, "ENOENT");
  expect(await Promise.resolve(fs.open("gone", O_RDONLY)).catch(systemCode)).toBe("ENOENT");
  expect(opened.length).toBe(1);
});

test("the other calls are the same", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-delegations-"));
  try {
    writeFileSync(join(dir, "state"), "text");
    const fs = withoutDelegations(poolPrimitives);
    expect(await fs.readdir(dir)).toEqual(["state"]);
    expect((await fs.lstat(join(dir, "state"))).size).toBe(4);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
