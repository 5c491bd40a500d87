// The disk and the GPUs that the agent shows, with a stand-in for nvidia-smi.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Box } from "#src/agent/box.ts";
import { systemClock } from "#src/base/clock.ts";
import { folderOf } from "#tests/support/disk/models_fixture.ts";
import { until } from "#tests/support/until.ts";

let dir: string;
/** The kernel's figures of the memory. */
let meminfo: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "agent-box-"));
  meminfo = join(dir, "meminfo");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Looks for GPUs once, with this as nvidia-smi. */
async function lookOnce(script: string, enough: (box: Box) => boolean): Promise<Box> {
  const command = join(dir, "nvidia-smi");
  writeFileSync(command, script);
  chmodSync(command, 0o755);
  const models = folderOf(dir);
  const box = new Box({
    models,
    changes: { notify: () => undefined },
    clock: systemClock,
    nvidiaSmi: command,
    meminfo,
  });
  const stop = new AbortController();
  const ended = box.run(stop.signal);
  await until(() => enough(box));
  stop.abort();
  await ended;
  return box;
}

test("run() reads the GPUs, and null for what the driver does not know", async () => {
  const script =
    "#!/bin/sh\necho '0, GPU-1f2e, NVIDIA H200, 143771, 512'\necho '1, GPU-3a4b, NVIDIA H200, [N/A], [N/A]'\n";
  const { gpus } = await lookOnce(script, (box) => box.gpus.length > 0);
  expect(gpus).toEqual([
    {
      index: 0,
      uuid: "GPU-1f2e",
      name: "NVIDIA H200",
      memory_total_bytes: 143_771 * 1_048_576,
      memory_used_bytes: 512 * 1_048_576,
    },
    { index: 1, uuid: "GPU-3a4b", name: "NVIDIA H200", memory_total_bytes: null, memory_used_bytes: null },
  ]);
});

test("run() goes on without GPUs when nvidia-smi cannot be started, or fails", async () => {
  for (const script of ["\u0000garbage", "#!/no/such/shell\n", "#!/bin/sh\nexit 9\n"]) {
    expect((await lookOnce(script, () => true)).gpus).toEqual([]);
  }
});

/** A box without GPUs. */
function boxWithoutGpus(modelsDir: string, changed: () => void): Box {
  const models = folderOf(modelsDir);
  return new Box({ models, changes: { notify: changed }, clock: systemClock, nvidiaSmi: null, meminfo });
}

/** Looks at the disk until it is known. @returns it, and the number of notifications */
async function diskOf(modelsDir: string) {
  let changes = 0;
  const box = boxWithoutGpus(modelsDir, () => (changes += 1));
  const stop = new AbortController();
  const ended = box.run(stop.signal);
  await until(() => box.disk !== null);
  stop.abort();
  await ended;
  return { disk: box.disk, changes };
}

test("run() finds the disk of the blobs, and notifies once it is known", async () => {
  const models = join(dir, "models");
  mkdirSync(models);
  symlinkSync("/dev/shm", join(models, "blobs"));
  const [own, blobs, memory] = [await diskOf(dir), await diskOf(models), await diskOf("/dev/shm")];
  expect(own.disk?.total_bytes).toBeGreaterThan(0);
  expect(blobs.disk).toMatchObject({ path: "/dev/shm", total_bytes: memory.disk?.total_bytes ?? -1 });
  expect([own.changes, blobs.changes]).toEqual([1, 1]);
});

/** Looks at the memory until it has been read. */
async function memoryOf(text: string | null, enough: (box: Box) => boolean) {
  rmSync(meminfo, { force: true });
  if (text !== null) writeFileSync(meminfo, text);
  const box = boxWithoutGpus(dir, () => undefined);
  const stop = new AbortController();
  const ended = box.run(stop.signal);
  await until(() => enough(box));
  stop.abort();
  await ended;
  return box.memory;
}

test("run() reads the memory, whose kB have 1024 bytes", async () => {
  const text = "MemTotal:       24684084 kB\nMemFree:        20537228 kB\nMemAvailable:   22823676 kB\nBuffers: 0 kB\n";
  expect(await memoryOf(text, ({ memory }) => memory !== null)).toEqual({
    total_bytes: 24_684_084 * 1024,
    available_bytes: 22_823_676 * 1024,
  });
});

test("memory is null where there is no such file, or another one", async () => {
  for (const text of [null, "", "MemTotal: 1 kB\n", "MemTotal: many kB\nMemAvailable: 1 kB\n", "\u0000".repeat(9000)]) {
    expect(await memoryOf(text, ({ disk }) => disk !== null)).toBeNull();
  }
});

test("disk is null before the first look", () => {
  expect(boxWithoutGpus(dir, () => undefined).disk).toBeNull();
});
