// The roster on the share: what may take its place, and that a change is seen.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Transport } from "#src/transport.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";

let shares: OpenShares;
let folder: ShareFolder;
let path: string;
beforeEach(() => {
  shares = new OpenShares();
  folder = shares.folder();
  path = join(folder.root, "gpu_status", ".roster.json");
});
afterEach(async () => await shares.close());

async function open(watch: "local" | "network"): Promise<Transport> {
  const handle = folder.handle({ watch });
  shares.keep(handle);
  await handle.connect();
  return handle;
}

test.each([
  ["a link", () => symlinkSync("/etc/hostname", path), "is a link"],
  ["a folder", () => mkdirSync(path), "is a folder"],
  ["bytes that are not UTF-8", () => writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d])), "is not UTF-8"],
] as const)("readRoster() refuses %s, and reads a roster that takes its place", async (_, put, refused) => {
  for (const watch of ["local", "network"] as const) {
    const reader = await open(watch);
    put();
    expect(await reader.readRoster()).toEqual({ refused });
    rmSync(path, { recursive: true });
    expect(await reader.readRoster()).toBeNull();
    writeFileSync(path, '{"serial":1}');
    expect(await reader.readRoster()).toEqual({ text: '{"serial":1}' });
    rmSync(path);
  }
});

test("readRoster() sees a roster of the same size that was written in place", async () => {
  for (const watch of ["local", "network"] as const) {
    const reader = await open(watch);
    writeFileSync(path, '{"serial":1}');
    expect(await reader.readRoster()).toEqual({ text: '{"serial":1}' });
    writeFileSync(path, '{"serial":2}');
    expect(await reader.readRoster()).toEqual({ text: '{"serial":2}' });
  }
});
