// Whose models folder it is: this Ollama's, or another one's on the same machine.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { readFootprint } from "#src/agent/disk/footprint.ts";
import { ModelsFolder } from "#src/agent/disk/models_folder.ts";
import { PulledBlobs } from "#src/agent/disk/pulled_blobs.ts";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import type { Log } from "#src/base/log.ts";
import type { Model } from "#src/protocol.ts";
import { digestOf, ModelsFixture } from "#tests/support/disk/models_fixture.ts";

/** What the asked Ollama lists; null: it cannot be asked. */
class Lists {
  models: readonly Model[] | null = null;
  now: readonly Model[] | null = [];
  asked = 0;

  async listModels(): Promise<readonly Model[]> {
    this.asked += 1;
    if (this.now === null) throw new CourierError("unavailable", "Ollama refuses the connection");
    this.models = this.now;
    return await Promise.resolve(this.now);
  }
}

let dir: ModelsFixture;
let listing: Lists;
let logged: string[];
let folder: ModelsFolder;
beforeEach(() => {
  dir = new ModelsFixture();
  listing = new Lists();
  logged = [];
  folder = open(dir.path);
});
afterEach(() => dir.remove());

function open(modelsDir: string | undefined, usualDirs: readonly string[] = []): ModelsFolder {
  const note = (_: object, text: string): void => void logged.push(text);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  return new ModelsFolder({ modelsDir, listing, clock: systemClock, log }, { usualDirs });
}

async function isOurs(): Promise<boolean> {
  return (await folder.look()) !== null;
}

/** As after a change, or 15 s. */
function list(models: readonly Model[]): void {
  listing.models = models;
  listing.now = models;
}

describe("a folder is this Ollama's", () => {
  test("when it holds a listed model with the same digest, whatever else it holds", async () => {
    dir.manifest("phi4:latest", { a: 9_000 });
    dir.manifest("me/other:1", { b: 5 });
    list([{ name: "gone:latest", size: 1, modified_at: "", digest: "0".repeat(64) }, ...dir.listed().slice(0, 1)]);
    expect(await isOurs()).toBe(true);
    expect(logged).toEqual([]);
  });

  test("when Ollama lists nothing and it holds no manifest, or only damaged ones", async () => {
    list([]);
    expect(await isOurs()).toBe(true);
    dir.file("manifests/registry.ollama.ai/library/phi4/latest", "");
    list([]);
    expect(await isOurs()).toBe(true);
    rmSync(join(dir.path, "manifests"), { recursive: true });
    list([]);
    expect(await isOurs()).toBe(true);
  });

  test("when Ollama's JSON decoder left a line end out of the digest", async () => {
    dir.manifest("phi4:latest", { a: 9_000 });
    const listed = dir.listed();
    dir.file("manifests/registry.ollama.ai/library/phi4/latest", `${dir.read("phi4:latest")}\n`);
    list(listed);
    expect(await isOurs()).toBe(true);
  });
});

describe("a folder is another Ollama's", () => {
  const model = (name: string, digest: string): Model => ({ name, size: 1, modified_at: "", digest });

  test.each([
    ["another digest", () => [model("phi4:latest", "0".repeat(64))]],
    ["no listed model", () => [model("other:latest", "0".repeat(64))]],
    ["manifests while Ollama lists nothing", () => []],
  ])("when it holds %s", async (_what, models) => {
    dir.manifest("phi4:latest", { a: 9_000 });
    list(models());
    expect(await isOurs()).toBe(false);
    expect(folder.unknown).toMatchObject({ message: `${dir.path} is not the folder of this Ollama`, isAnothers: true });
    expect(folder.unknown?.hint).toContain("--ollama-models");
  });

  test("when it is empty while Ollama lists models", async () => {
    list([model("phi4:latest", "0".repeat(64))]);
    expect(await isOurs()).toBe(false);
  });

  test("and everything in it is unknown then", async () => {
    dir.manifest("phi4:latest", { a: 9_000 });
    dir.partial("a", 4096, 9_000);
    list([model("phi4:latest", "0".repeat(64))]);
    const blobs = new PulledBlobs(folder, systemClock);
    const digests = [digestOf("a")];
    expect(folder.disk).toBeNull();
    expect(await folder.present([{ digest: digestOf("a"), bytes: 9_000 }])).toBeNull();
    expect(await folder.models()).toBeNull();
    expect(await folder.missing("phi4")).toEqual([]);
    expect(await readFootprint(folder, "phi4")).toBeNull();
    expect(await blobs.bytes(digests)).toBeNull();
    expect(await blobs.untilStopped(digests)).toBe("unseen");
    expect(await blobs.wrong(digests, AbortSignal.timeout(1000))).toEqual([]);
  });

  test("which is logged once, until it is this Ollama's again", async () => {
    dir.manifest("phi4:latest", { a: 9_000 });
    for (let i = 0; i < 3; i++) {
      list([]);
      await folder.look();
    }
    expect(logged).toEqual([`Models folder not used: ${dir.path} is not the folder of this Ollama`]);
    list(dir.listed());
    expect(await isOurs()).toBe(true);
    expect(logged.slice(1)).toEqual(["Models folder found"]);
  });
});

describe("it is decided again", () => {
  test("when Ollama has listed its models again, and not before", async () => {
    dir.manifest("phi4:latest", { a: 9_000 });
    list(dir.listed());
    expect(await isOurs()).toBe(true);
    // Ollama restarts with another OLLAMA_MODELS.
    listing.now = [];
    expect(await isOurs()).toBe(true);
    list([]);
    expect(await isOurs()).toBe(false);
    list(dir.listed());
    expect(await isOurs()).toBe(true);
  });

  test("by a fresh list before a folder is denied: the last model was deleted and another one pulled", async () => {
    dir.manifest("phi4:latest", { a: 9_000 });
    list(dir.listed());
    expect(await isOurs()).toBe(true);
    dir.removeManifest("phi4:latest");
    dir.manifest("next:latest", { b: 9_000 });
    listing.models = [...(listing.models ?? [])];
    listing.now = dir.listed();
    expect(await isOurs()).toBe(true);
    expect(listing.asked).toBe(1);
    expect(logged).toEqual([]);
  });

  test("as before, while Ollama cannot be asked; and not at all until it has listed its models once", async () => {
    listing.now = null;
    expect(await isOurs()).toBe(false);
    expect(folder.unknown).toMatchObject({ isAnothers: false });
    expect(folder.unknown?.message).toContain("has not listed its models yet");
    listing.now = [];
    expect(await isOurs()).toBe(true);
    listing.now = null;
    expect(await isOurs()).toBe(true);
    expect(logged).toEqual([]);
  });
});

test("missing() does not take another Ollama's model of the same name for the pulled one", async () => {
  dir.manifest("phi4:latest", { a: 9_000 });
  dir.manifest("shared:latest", { b: 1 });
  const [listed] = dir.listed().filter(({ name }) => name === "shared:latest");
  if (listed === undefined) throw new Error("not listed");
  list([listed, { ...listed, name: "phi4:latest", digest: "0".repeat(64) }]);
  expect(await folder.missing("phi4")).toEqual([]);
  expect(await folder.missing("shared")).toEqual([digestOf("b")]);
});

test("of the usual folders, the one that is this Ollama's is used", async () => {
  const other = new ModelsFixture();
  try {
    other.manifest("old:latest", { a: 1 });
    dir.manifest("phi4:latest", { a: 9_000 });
    list(dir.listed());
    folder = open(undefined, [join(dir.path, "none"), other.path, dir.path]);
    expect(await folder.look()).not.toBeNull();
    expect((await folder.models())?.map(({ name }) => name)).toEqual(["phi4:latest"]);
    expect(logged).toEqual([]);
  } finally {
    other.remove();
  }
});
