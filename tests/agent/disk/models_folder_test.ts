// What the agent sees of Ollama's models on disk.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { measureFreed, readFootprint } from "#src/agent/disk/footprint.ts";
import type { ModelsFolder } from "#src/agent/disk/models_folder.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { digestOf, folderOf, ModelsFixture } from "#tests/support/disk/models_fixture.ts";
import { until } from "#tests/support/until.ts";

let dir: ModelsFixture;
let folder: ModelsFolder;
beforeEach(() => {
  dir = new ModelsFixture();
  folder = dir.folder();
});
afterEach(() => dir.remove());

test("look() names the folder that really holds the blobs", async () => {
  const elsewhere = new ModelsFixture();
  rmSync(join(dir.path, "blobs"), { recursive: true });
  symlinkSync(join(elsewhere.path, "blobs"), join(dir.path, "blobs"));
  expect((await folder.look())?.path).toBe(realpathSync(join(elsewhere.path, "blobs")));
  elsewhere.remove();
  // A link to a disk that is not mounted: not the disk of the folder above it.
  expect(await folder.look()).toBeNull();
});

test("look() finds the disk of the models before Ollama made its folders, and null without any folder", async () => {
  rmSync(join(dir.path, "blobs"), { recursive: true });
  expect((await folder.look())?.path).toBe(realpathSync(dir.path));
  expect(await folderOf(join(dir.path, "none")).look()).toBeNull();
});

test("look() waits 2 s for a disk that hangs, and asks nothing more of it until it answers", async () => {
  const clock = new ManualClock();
  const space = { free_bytes: 1, total_bytes: 2 };
  let asked = 0;
  const answers = Promise.withResolvers<typeof space>();
  const askDisk = async (): Promise<typeof space> => {
    asked += 1;
    return await answers.promise;
  };
  const hanging = dir.folder({ clock, askDisk });
  dir.manifest("phi4:latest", { a: 9_000 });
  for (let i = 1; i <= 3; i++) {
    const looked = hanging.look();
    await until(() => asked === 1);
    await clock.advance(2000);
    expect(await looked).toBeNull();
    expect([hanging.disk, await hanging.models(), await hanging.present([])]).toEqual([null, null, null]);
    expect(hanging.unknown?.message).toBe("the disk of the models folder does not answer");
  }
  expect(asked).toBe(1);
  answers.resolve(space);
  await settle();
  expect(await hanging.look()).toMatchObject(space);
  expect(hanging.disk).toMatchObject(space);
});

test("present() counts whole blobs, and of one begun what is allocated", async () => {
  dir.blob("a", 10_000);
  dir.partial("b", 65_536, 10_000_000);
  dir.partial("c", 65_536, 65_000);
  const bytes = { a: 10_000, b: 10_000_000, c: 65_000, d: 7 };
  const layers = Object.entries(bytes).map(([digit, size]) => ({ digest: digestOf(digit), bytes: size }));
  const present = await folder.present(layers);
  expect(present?.get(digestOf("a"))).toBe(10_000);
  expect(present?.get(digestOf("b"))).toBeWithin(65_536, 2 * 65_536);
  expect(present?.get(digestOf("c"))).toBe(65_000);
  expect(present?.get(digestOf("d"))).toBe(0);
});

test("present() is null when the blobs cannot be looked at", async () => {
  const file = join(dir.path, "file");
  writeFileSync(file, "");
  expect(await folderOf(file).present([{ digest: digestOf("a"), bytes: 1 }])).toBeNull();
  expect(await folderOf(join(dir.path, "none")).present([])).toBeNull();
});

test("missing() names the blobs of a model that are not there whole, and none where that cannot be seen", async () => {
  dir.manifest("me/phi4:latest", { a: 10_000, b: 10_000, c: 10_000, d: 0 });
  dir.blob("a", 10_000);
  dir.partial("b", 4096, 10_000);
  expect(await folder.missing("me/PHI4")).toEqual([digestOf("b"), digestOf("c")]);
  expect(await folder.missing("phi4")).toEqual([]);
  rmSync(join(dir.path, "blobs"), { recursive: true });
  writeFileSync(join(dir.path, "blobs"), "");
  expect(await folder.missing("me/phi4")).toEqual([]);
});

test("models() returns the names in Ollama's form, each with its blobs", async () => {
  dir.manifest("phi4:latest", { a: 9_000, b: 5 });
  dir.manifest("me/phi4:14b", { a: 9_000 });
  dir.manifest("127.0.0.1:5000/library/tiny:latest", { c: 7 });
  const models = await folder.models();
  const shown = models?.map(({ name, layers }) => `${name} ${layers.map(({ bytes }) => bytes).join("+")}`);
  expect(shown?.toSorted()).toEqual(["127.0.0.1:5000/library/tiny:latest 7", "me/phi4:14b 9000", "phi4:latest 9000+5"]);
});

test("models() leaves out what is no model: other names, links, what is no manifest", async () => {
  dir.manifest("phi4:latest", { a: 9_000 });
  const listed = dir.listed();
  folder = folderOf(dir.path, { models: listed, listModels: async () => await Promise.resolve(listed) });
  dir.file("manifests/registry.ollama.ai/library/phi4/.hidden", '{"layers":[]}');
  dir.file("manifests/registry.ollama.ai/library/phi4/broken", "");
  dir.file("manifests/registry.ollama.ai/library/phi4/large", " ".repeat(4_000_001));
  dir.file("manifests/registry.ollama.ai/.DS_Store", "");
  symlinkSync("/", join(dir.path, "manifests", "outside"));
  symlinkSync("latest", join(dir.path, "manifests/registry.ollama.ai/library/phi4/link"));
  mkdirSync(join(dir.path, "manifests/registry.ollama.ai/library/phi4/folder"));
  expect((await folder.models())?.map(({ name }) => name)).toEqual(["phi4:latest"]);
});

test("models() goes on when a model is deleted while it looks", async () => {
  for (const model of ["a:1", "b:1", "c:1"]) dir.manifest(model, { a: 9_000 });
  const looking = folder.models();
  for (const model of ["b", "c"])
    rmSync(join(dir.path, "manifests/registry.ollama.ai/library", model), { recursive: true });
  expect((await looking)?.map(({ name }) => name)).toContain("a:1");
});

test("models() is null when the manifests cannot be read", async () => {
  renameSync(join(dir.path, "manifests"), join(dir.path, "moved"));
  expect(await folder.models()).toBeNull();
  dir.file("manifests", "");
  expect(existsSync(join(dir.path, "manifests"))).toBeTrue();
  expect(await folder.models()).toBeNull();
});

describe("a delete", () => {
  async function deleting(model: string, remove: () => void): Promise<string | undefined> {
    const footprint = await readFootprint(folder, model);
    if (footprint === null) return undefined;
    remove();
    dir.removeManifest(footprint.spellings[0]?.name ?? "");
    return (await measureFreed(folder, footprint))?.text;
  }

  const removeBlob = (digit: string): void => dir.removeBlob(digit);

  beforeEach(() => {
    dir.manifest("phi4:latest", { a: 9_000, b: 1_000, c: 500 });
    for (const [digit, bytes] of [
      ["a", 9_000],
      ["b", 1_000],
      ["c", 500],
    ] as const)
      dir.blob(digit, bytes);
  });

  test("frees all of a model that shares nothing", async () => {
    const all = (): void => ["a", "b", "c"].forEach(removeBlob);
    expect(await deleting("PHI4", all)).toBe("10.5 kB freed");
  });

  test("leaves what others share, and names them", async () => {
    dir.manifest("phi4:14b", { a: 9_000, d: 1 });
    expect(await deleting("phi4:latest", () => ["b", "c"].forEach(removeBlob))).toBe(
      "1.5 kB freed, kept 9.0 kB shared with phi4:14b",
    );
    dir.manifest("phi4:latest", { a: 9_000, b: 1_000, c: 500 });
    dir.manifest("me/copy:latest", { a: 9_000, c: 500 });
    expect(await deleting("phi4:14b", () => undefined)).toBe(
      "nothing freed, kept 9.0 kB shared with me/copy:latest and phi4:latest",
    );
    dir.manifest("me/other:latest", { a: 9_000 });
    dir.manifest("phi4:14b", { a: 9_000, d: 1 });
    expect(await deleting("phi4:14b", () => undefined)).toBe(
      "nothing freed, kept 9.0 kB shared with me/copy:latest and 2 more",
    );
  });

  test("keeps what a pull from the mirror has, and does not show its helper name", async () => {
    dir.manifest(`127.0.0.1:40123/gpu-courier-mirror/${"0".repeat(32)}:latest`, { a: 9_000 });
    expect(await deleting("phi4:latest", () => ["b", "c"].forEach(removeBlob))).toBe("1.5 kB freed, kept 9.0 kB");
  });

  test("of one of two names that differ only in case frees what that one has alone", async () => {
    dir.manifest("PHI4:latest", { a: 9_000, d: 70 });
    dir.blob("d", 70);
    const footprint = await readFootprint(folder, "phi4");
    if (footprint === null) throw new Error("Not seen");
    // Ollama compares names without regard to case, and deletes either.
    dir.removeManifest("PHI4:latest");
    dir.removeBlob("d");
    expect(await measureFreed(folder, footprint)).toEqual({
      freedBytes: 70,
      sharedBytes: 9_000,
      text: "70 B freed, kept 9.0 kB shared with phi4:latest",
    });
  });

  test("returns null for what it cannot know", async () => {
    expect(await deleting("gone", () => undefined)).toBeUndefined();
    expect(await readFootprint(folderOf(join(dir.path, "none")), "phi4")).toBeNull();
    expect(await deleting("phi4", () => dir.remove())).toBeUndefined();
  });
});
