// What the disk holds and what may go of it, to the byte: planted models, downloads and orphans.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { ModelsFolder, Place } from "#src/agent/disk/models_folder.ts";
import { pruneBlobs } from "#src/agent/disk/pruning.ts";
import type { PullJobs } from "#src/agent/disk/pull_owners.ts";
import { readUsage } from "#src/agent/disk/usage.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { type Job, newPull, type Pruned } from "#src/protocol.ts";
import { digestOf, ModelsFixture } from "#tests/support/disk/models_fixture.ts";

const ALL = { partials: true, orphans: true, dryRun: false };
const HOUR_MS = 3_600_000;
const HELPER = `127.0.0.1:40123/gpu-courier-mirror/${"0".repeat(32)}:latest`;

let dir: ModelsFixture;
let folder: ModelsFolder;
let jobs: { job: Job; digests: string[] }[];
let running: string[];
const pulls: PullJobs = { layers: () => jobs, running: () => running };

beforeEach(() => {
  dir = new ModelsFixture();
  folder = dir.folder();
  jobs = [];
  running = [];
  dir.manifest("phi4:latest", { a: 10_000, b: 500 });
  dir.manifest("gemma3:270m", { c: 7_000, b: 500 });
  dir.blob("a", 10_000);
  dir.blob("b", 500);
  dir.blob("c", 7_000);
  // Of an unfinished download one layer is whole, and one is begun.
  dir.blob("d", 12_345);
  dir.partial("e", 65_536, 10_000_000);
  dir.file(`blobs/${nameOf("e")}-partial-0`, '{"N":0,"Offset":0,"Size":10000000,"Completed":65536}');
});
afterEach(() => dir.remove());

function nameOf(digit: string): string {
  return digestOf(digit).replace(":", "-");
}

function allocated(...names: string[]): number {
  return names.reduce((sum, name) => sum + lstatSync(join(dir.path, "blobs", name)).blocks * 512, 0);
}

/** The time that many ms after the files were made. */
function later(ms: number): Clock {
  return { ...systemClock, now: () => Date.now() + ms, monotonic: () => systemClock.monotonic() };
}

function jobOf(state: Job["state"], ...digits: string[]): void {
  jobs.push({ job: { ...newPull("job-1", "gpu-1", "llama3.2:1b"), state }, digests: digits.map(digestOf) });
}

async function place(): Promise<Place> {
  const found = await folder.place();
  if (!("disk" in found)) throw new Error(found.message);
  return found;
}

async function prune(choices: Partial<typeof ALL> = {}, clock = later(2 * HOUR_MS)): Promise<Pruned> {
  return await pruneBlobs(await place(), { ...ALL, ...choices }, { jobs: pulls, clock });
}

function blobsLeft(): string[] {
  return readdirSync(join(dir.path, "blobs")).toSorted();
}

const partialBytes = (): number => allocated(`${nameOf("e")}-partial`, `${nameOf("e")}-partial-0`);

describe("readUsage()", () => {
  test("has each model's own and shared bytes, downloads by allocated blocks, and orphans, to the byte", async () => {
    jobOf("failed", "e");
    const usage = await readUsage(await place(), pulls);
    expect(usage).toMatchObject({
      models_bytes: 17_500,
      partials_bytes: partialBytes(),
      orphans_bytes: 12_345,
      models: [
        { name: "gemma3:270m", own_bytes: 7_000, shared_bytes: 500 },
        { name: "phi4:latest", own_bytes: 10_000, shared_bytes: 500 },
      ],
      partials: [{ digest: digestOf("e"), bytes: partialBytes(), job_id: "job-1", model: "llama3.2:1b" }],
      orphans: [{ digest: digestOf("d"), bytes: 12_345, job_id: null, model: null }],
    });
    expect(partialBytes()).toBeWithin(65_536, 3 * 65_536);
    expect(usage.free_bytes).toBeGreaterThan(0);
    expect(usage.note).toBeUndefined();
  });

  test("shows no helper name of a pull from the mirror, and counts what it has", async () => {
    const before = await readUsage(await place(), pulls);
    dir.manifest(HELPER, { a: 10_000, b: 500 });
    expect(await readUsage(await place(), pulls)).toMatchObject({ models: before.models, models_bytes: 17_500 });
    dir.manifest(HELPER.replace("latest", "before"), { d: 12_345 });
    const { models, models_bytes, orphans } = await readUsage(await place(), pulls);
    expect([models, models_bytes, orphans]).toEqual([before.models, 29_845, []]);
  });

  test("says that orphans may be wrong when it cannot read a manifest", async () => {
    dir.file("manifests/registry.ollama.ai/library/odd/latest", "{");
    expect((await readUsage(await place(), pulls)).note).toContain(
      "cannot read manifests/registry.ollama.ai/library/odd/latest",
    );
  });

  test("is empty before Ollama has made its folders", async () => {
    rmSync(join(dir.path, "manifests", "registry.ollama.ai"), { recursive: true });
    rmSync(join(dir.path, "blobs"), { recursive: true });
    expect(await readUsage(await place(), pulls)).toMatchObject({
      models: [],
      partials: [],
      orphans: [],
      models_bytes: 0,
    });
  });
});

describe("pruneBlobs()", () => {
  test("removes what is left over and older than an hour, and nothing else; run again, nothing", async () => {
    const bytes = 12_345 + partialBytes();
    expect(await prune()).toMatchObject({ dry_run: false, bytes, count: 2, kept: [] });
    expect(blobsLeft()).toEqual(["a", "b", "c"].map(nameOf));
    expect(await prune()).toMatchObject({ bytes: 0, count: 0, removed: [], kept: [] });
  });

  test("as a dry run says the same to the byte, and removes nothing", async () => {
    const before = blobsLeft();
    const planned = await prune({ dryRun: true });
    expect(blobsLeft()).toEqual(before);
    expect({ ...(await prune()), dry_run: true }).toEqual(planned);
  });

  test.each([
    [{ orphans: false }, ["a", "b", "c", "d"]],
    [{ partials: false }, ["a", "b", "c", "e-partial", "e-partial-0"]],
  ])("with %j leaves the other kind", async (choices, left) => {
    await prune(choices);
    const names = left.map((each) => `${nameOf(each.slice(0, 1))}${each.slice(1)}`);
    expect(blobsLeft()).toEqual(names);
  });

  test("spares what changed less than an hour ago, however old a copied file says it is", async () => {
    utimesSync(join(dir.path, "blobs", nameOf("d")), new Date(0), new Date(0));
    const { count, kept } = await prune({}, later(HOUR_MS - 60_000));
    expect([count, kept.map(({ reason }) => reason)]).toEqual([0, Array(2).fill("it changed less than an hour ago")]);
  });

  test("spares an orphan while a download that is no job goes on: its manifest comes last", async () => {
    const path = join(dir.path, "blobs", `${nameOf("e")}-partial-0`);
    utimesSync(path, new Date(Date.now() + 2 * HOUR_MS), new Date(Date.now() + 2 * HOUR_MS));
    const { removed, kept } = await prune();
    expect(removed).toEqual([]);
    expect(kept.find(({ kind }) => kind === "orphan")?.reason).toContain("a download that went on");
  });

  test("removes nothing while a pull runs", async () => {
    running = ["gemma3:12b"];
    const { count, kept } = await prune();
    expect([count, kept.map(({ reason }) => reason)]).toEqual([0, Array(2).fill("gemma3:12b is being pulled")]);
  });

  test("keeps the blobs of a queued pull, and all of them until it is known which these are", async () => {
    jobOf("queued", "e", "d");
    expect((await prune()).kept.map(({ reason }) => reason)).toEqual(Array(2).fill("the pull of llama3.2:1b needs it"));
    jobs = [];
    jobOf("queued");
    expect((await prune()).kept.map(({ reason }) => reason)).toEqual(
      Array(2).fill("the pull of llama3.2:1b may need it"),
    );
    jobs = [];
    jobOf("cancelled", "e", "d");
    expect((await prune()).count).toBe(2);
  });

  test("stops when a pull begins meanwhile", async () => {
    let asked = 0;
    const begins: PullJobs = { layers: () => [], running: () => ((asked += 1) > 1 ? ["gemma3:12b"] : []) };
    const { count } = await pruneBlobs(await place(), ALL, { jobs: begins, clock: later(2 * HOUR_MS) });
    expect(count).toBe(0);
    expect(blobsLeft()).toHaveLength(6);
  });

  test("keeps a blob that a model begins to need after the first look", async () => {
    let asked = 0;
    const adds: PullJobs = {
      layers: () => [],
      running: () => {
        // At the second question of the first blob: the second blob is looked at again after it.
        if ((asked += 1) === 2) dir.manifest("new:latest", { d: 12_345 });
        return [];
      },
    };
    const { removed, kept } = await pruneBlobs(await place(), ALL, { jobs: adds, clock: later(2 * HOUR_MS) });
    expect([removed.map(({ kind }) => kind), kept.map(({ reason }) => reason)]).toEqual([
      ["partial"],
      ["a model needs it"],
    ]);
  });

  test("keeps the blobs of a manifest that is reached by a link, or cannot be read", async () => {
    const manifest = join(dir.path, "manifests", "registry.ollama.ai", "library", "linked", "latest");
    mkdirSync(join(manifest, ".."), { recursive: true });
    symlinkSync(join(dir.path, "elsewhere"), manifest);
    expect((await prune()).kept.map(({ reason }) => reason)).toEqual(
      Array(2).fill("cannot read manifests/registry.ollama.ai/library/linked/latest: it may name some of the blobs"),
    );
  });

  test("keeps a blob that is a manifest itself", async () => {
    const text = dir.read("phi4:latest");
    const name = `sha256-${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
    writeFileSync(join(dir.path, "blobs", name), text);
    await prune();
    expect(blobsLeft()).toContain(name);
  });

  test("follows no links, and touches no other names", async () => {
    const outside = join(dir.path, "outside");
    writeFileSync(outside, "kept");
    symlinkSync(outside, join(dir.path, "blobs", nameOf("f")));
    mkdirSync(join(dir.path, "blobs", `${nameOf("0")}-partial`));
    for (const name of ["notes.txt", `${nameOf("1")}.bak`, "sha256-short", `${nameOf("2")}-partial-x`])
      writeFileSync(join(dir.path, "blobs", name), "kept");
    const others = blobsLeft().length;
    expect((await prune()).count).toBe(2);
    expect([blobsLeft().length, existsSync(outside)]).toEqual([others - 3, true]);
  });

  test("prunes where the blobs are on another disk, by a link", async () => {
    renameSync(join(dir.path, "blobs"), join(dir.path, "disk2"));
    symlinkSync(join(dir.path, "disk2"), join(dir.path, "blobs"));
    expect((await prune()).count).toBe(2);
  });
});
