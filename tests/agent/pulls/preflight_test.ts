// Whether a model fits, before its first byte; and the flags that decide it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { Box } from "#src/agent/box.ts";
import { ModelsFolder } from "#src/agent/disk/models_folder.ts";
import { Preflight, type PreflightDeps } from "#src/agent/pulls/preflight.ts";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { defaultReserve, parseDiskReserve } from "#src/program/disk_reserve.ts";
import { Protection } from "#src/program/protection.ts";
import type { Manifest } from "#src/program/registry/manifest.ts";
import { ForbiddenRedirect } from "#src/program/registry/requests.ts";
import { type Disk, type Gpu, type Job, newPull } from "#src/protocol.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { digestOf, ModelsFixture } from "#tests/support/disk/models_fixture.ts";
import { failure } from "#tests/support/failure.ts";

const GB = 1e9;

/** A folder on a disk of that size. */
class FolderOn extends ModelsFolder {
  readonly #disk: Disk | null;
  constructor(dir: string, disk: Disk | null) {
    super({
      modelsDir: dir,
      listing: { models: [], listModels: async () => await Promise.resolve([]) },
      clock: systemClock,
      log: silentLog,
    });
    this.#disk = disk;
  }
  override async look(): Promise<Disk | null> {
    return await Promise.resolve(this.#disk);
  }
}

let dir: ModelsFixture;
let clock: ManualClock;
/** What registries answer, by model; anything else cannot be reached. */
let manifests: Record<string, Manifest>;
let asked: string[];
beforeEach(() => {
  dir = new ModelsFixture();
  clock = new ManualClock();
  manifests = { "phi4:latest": manifest({ a: 9.1 * GB }), "phi4:fp16": manifest({ b: 20 * GB, c: 1 * GB }) };
  asked = [];
});
afterEach(() => dir.remove());

function manifest(layers: Readonly<Record<string, number>>): Manifest {
  const found = Object.entries(layers).map(([digit, bytes]) => ({ digest: digestOf(digit), bytes }));
  const bytes = found.reduce((sum, layer) => sum + layer.bytes, 0);
  return { digest: "", layers: found, totalBytes: bytes, weightsBytes: bytes };
}

function gpu(memoryBytes: number | null): Gpu {
  return { index: 0, uuid: "GPU-1", name: "H200", memory_total_bytes: memoryBytes, memory_used_bytes: null };
}

function preflight(
  freeBytes: number | null,
  { gpus = [], memory = null, ...options }: Partial<PreflightDeps> & Partial<Pick<Box, "gpus" | "memory">> = {},
): Preflight {
  const disk = { path: "/data/models/blobs", free_bytes: freeBytes ?? 0, total_bytes: 1000 * GB };
  return new Preflight({
    agent: "gpu-1",
    registry: {
      readManifest: async (model) => {
        asked.push(model);
        const found = manifests[model];
        if (found === undefined) throw new CourierError("unavailable", "registry.ollama.ai cannot be reached");
        return await Promise.resolve(found);
      },
    },
    box: { models: new FolderOn(dir.path, freeBytes === null ? null : disk), gpus, memory },
    diskReserve: () => 0,
    clock,
    ...options,
  });
}

function job(model: string, bytes: Partial<Job> = {}): Job {
  return { ...newPull("id-1", "gpu-1", model), state: "running", ...bytes };
}

const ALONE = { force: false, others: [] };

describe("check()", () => {
  test("reports the model's size when there is room", async () => {
    expect(await preflight(9.1 * GB).check("phi4:latest", ALONE)).toEqual({ totalBytes: 9.1 * GB, note: null });
  });

  test("refuses with the figures when there is not", async () => {
    const error = await failure(preflight(4 * GB).check("phi4:latest", ALONE));
    expect(error).toMatchObject({
      code: "exhausted",
      message: 'Cannot pull "phi4:latest" on gpu-1: 9.1 GB needed, 4.0 GB free in /data/models/blobs',
      hint: "Remove a model, set OLLAMA_MODELS to a larger disk, or pull it anyway with --force",
    });
  });

  test("keeps the reserve free, and what other pulls will still need", async () => {
    const others = [job("me/other:latest", { total_bytes: 5 * GB, completed_bytes: 3 * GB })];
    const check = preflight(12 * GB, { diskReserve: () => 1 * GB });
    const error = await failure(check.check("phi4:latest", { force: false, others }));
    expect(error.message).toBe(
      'Cannot pull "phi4:latest" on gpu-1: 9.1 GB needed, 2.0 GB for other pulls and 1.0 GB in reserve, ' +
        "12.0 GB free in /data/models/blobs",
    );
    expect((await check.check("phi4:latest", ALONE)).note).toBeNull();
  });

  test("does not count what is there already", async () => {
    dir.blob("b", 5);
    const error = await failure(preflight(0.5 * GB).check("phi4:fp16", ALONE));
    expect(error.message).toContain("1.0 GB needed (20.0 GB of 21.0 GB is present), 500.0 MB free");
    expect((await preflight(1 * GB).check("phi4:fp16", ALONE)).note).toBeNull();
  });

  test("refuses nothing that needs no room, however full the disk", async () => {
    for (const digit of ["b", "c"]) dir.blob(digit, 5);
    const full = preflight(0, { diskReserve: () => 5 * GB });
    expect(await full.check("phi4:fp16", ALONE)).toEqual({ totalBytes: 21 * GB, note: null });
  });

  test("counts a blob that another pull fetches too only once", async () => {
    manifests["phi4:14b"] = manifest({ a: 9.1 * GB, d: 0.1 * GB });
    const check = preflight(9.3 * GB);
    await check.check("phi4:latest", ALONE);
    expect((await check.check("phi4:14b", { force: false, others: [job("phi4:latest")] })).note).toBeNull();
    const both = { force: false, others: [job("phi4:latest"), job("phi4:14b")] };
    manifests["x:latest"] = manifest({ e: 0.2 * GB });
    const error = await failure(check.check("x:latest", both));
    expect(error.message).toContain("200.0 MB needed and 9.2 GB for other pulls, 9.3 GB free");
  });

  test("continues when forced, and reports that", async () => {
    expect(await preflight(4 * GB).check("phi4:latest", { ...ALONE, force: true })).toEqual({
      totalBytes: 9.1 * GB,
      note: "forced: 9.1 GB needed, 4.0 GB free in /data/models/blobs",
    });
  });

  test("continues when the registry cannot be asked, and reports that", async () => {
    expect(await preflight(0).check("unknown:latest", ALONE)).toEqual({
      totalBytes: null,
      note: "size unknown: registry.ollama.ai cannot be reached",
      failure: "registry.ollama.ai cannot be reached",
    });
  });

  test.each(["not_found", "forbidden", "invalid"] as const)(
    "lets only not_found of %s refuse the pull",
    async (code) => {
      const readManifest = async (): Promise<Manifest> => await Promise.reject(new CourierError(code, "no"));
      const check = preflight(100 * GB, { registry: { readManifest } }).check("phi4:latest", ALONE);
      if (code === "not_found") expect(await failure(check)).toMatchObject({ code });
      else expect(await check).toEqual({ totalBytes: null, note: "size unknown: no", failure: "no" });
    },
  );

  test("refuses a pull whose registry redirects to what is not allowed: Ollama would follow it", async () => {
    const readManifest = async (): Promise<Manifest> =>
      await Promise.reject(new ForbiddenRedirect("registry.example", new URL("https://10.0.0.1/secret")));
    const check = preflight(100 * GB, { registry: { readManifest } }).check("phi4:latest", { ...ALONE, force: true });
    expect(await failure(check)).toMatchObject({
      code: "forbidden",
      message: "registry.example redirects to 10.0.0.1, which is not allowed",
    });
  });

  test("continues when the disk cannot be checked, and reports that", async () => {
    const unknown = {
      totalBytes: 9.1 * GB,
      note: expect.stringContaining("disk space not checked: cannot read the models folder"),
    };
    expect(await preflight(null).check("phi4:latest", ALONE)).toEqual(unknown);
    rmSync(dir.path, { recursive: true });
    expect(await preflight(100 * GB).check("phi4:latest", ALONE)).toEqual(unknown);
  });

  test("stops when it is aborted, even while the registry does not answer", async () => {
    const stop = new AbortController();
    const readManifest = async (): Promise<Manifest> => await new Promise(() => undefined);
    const check = preflight(1, { registry: { readManifest } }).check("phi4:latest", { ...ALONE, signal: stop.signal });
    stop.abort();
    expect((await check).totalBytes).toBeNull();
  });

  test("says when the model does not fit the GPUs, where their memory is known", async () => {
    const withGpus = async (ramBytes: number | null, ...memories: (number | null)[]): Promise<string | null> => {
      const memory = ramBytes === null ? null : { total_bytes: ramBytes, available_bytes: ramBytes };
      const check = preflight(100 * GB, { gpus: memories.map(gpu), memory });
      return (await check.check("phi4:latest", ALONE)).note;
    };
    const sizes = "about 11.0 GB with a context of 4096 tokens, the GPUs have 8.0 GB";
    expect(await withGpus(null, 4 * GB, 4 * GB)).toBe(`larger than the memory of this box's GPUs: ${sizes}`);
    expect(await withGpus(64 * GB, 4 * GB, 4 * GB)).toBe(
      `fits partly: the rest runs on the CPU (${sizes}, the box 64.0 GB)`,
    );
    expect(await withGpus(2 * GB, 4 * GB, 4 * GB)).toBe(`does not fit (${sizes}, the box 2.0 GB)`);
    expect(await withGpus(null, 4 * GB, 8 * GB)).toBeNull();
    expect(await withGpus(null, 4 * GB, null)).toBeNull();
    expect(await withGpus(null)).toBeNull();
  });

  test("asks a registry again only after a while, also one that did not answer", async () => {
    const check = preflight(100 * GB);
    for (const model of ["phi4:latest", "PHI4:latest", "gone:latest", "gone:latest"]) await check.check(model, ALONE);
    expect(asked).toEqual(["phi4:latest", "gone:latest"]);
    await clock.advance(10_000);
    for (const model of ["phi4:latest", "gone:latest"]) await check.check(model, ALONE);
    expect(asked.length).toBe(4);
  });
});

test("check() asks nobody when the preflight is off", async () => {
  const check = preflight(0, { registry: null, diskReserve: () => 5 * GB });
  expect(await check.check("phi4:latest", { force: false, others: [] })).toEqual({ totalBytes: null, note: null });
});

describe("--disk-reserve", () => {
  test.each([
    ["5%", 50 * GB],
    ["0.5 %", 5 * GB],
    ["20GB", 20 * GB],
    ["500 mb", 0.5 * GB],
    ["1.5TB", 1500 * GB],
    ["0", 0],
    ["0%", 0],
  ])("reads %p", (text, bytes) => {
    expect(parseDiskReserve(text)(1000 * GB)).toBe(bytes);
  });

  test.each(["", "GB", "20", "-1GB", "100%", "5 GiB", "1e9B"])("refuses %p", (text) => {
    expect(() => parseDiskReserve(text)).toThrow("as the disk reserve");
  });

  test("is 5 % by default, and 5 GB of a large disk", () => {
    expect(defaultReserve(20 * GB)).toBe(1 * GB);
    expect(defaultReserve(4000 * GB)).toBe(5 * GB);
  });
});

describe("--protect", () => {
  function isProtected(model: string, ...patterns: readonly string[]): boolean {
    try {
      new Protection("gpu-1", patterns).requireOpen("delete", model);
      return false;
    } catch (error) {
      expect(error).toMatchObject({ code: "forbidden" });
      return true;
    }
  }

  test.each([
    ["phi4", "phi4:latest", true],
    ["phi4", "phi4:14b", false],
    ["phi4:*", "phi4:14b", true],
    ["Phi*", "PHI4:latest", true],
    ["phi4:?4b", "phi4:14b", true],
    ["phi[45]:*", "phi5:latest", true],
    ["*", "me/phi4:latest", false],
    ["me/*", "me/phi4:latest", true],
    ["**", "127.0.0.1:5000/me/phi4:latest", true],
    ["127.0.0.1:5000/**", "127.0.0.1:5000/me/phi4:latest", true],
    ["library/phi4:*", "phi4:14b", true],
    ["registry.ollama.ai/**", "phi4:14b", true],
    ["registry.ollama.ai/library/phi4", "phi4:latest", true],
  ])("%p of %p: %p", (pattern, model, expected) => {
    expect(isProtected(model, "other:*", pattern)).toBe(expected);
  });

  test("names what protects the model, and where", () => {
    const protection = new Protection("gpu-1", ["phi4:*"]);
    expect(() => protection.requireOpen("delete", "phi4:14b")).toThrow(
      'Cannot delete "phi4:14b" on gpu-1: it is protected there by --protect phi4:*',
    );
  });

  test.each(["", "phi4[", "[]", "a b", "!phi4", "{a}", "n/", "/phi4"])("refuses %p, which fits no name", (pattern) => {
    expect(() => new Protection("gpu-1", [pattern])).toThrow(CourierError);
  });
});
