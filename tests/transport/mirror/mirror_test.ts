// The models on the share: read as what anybody may have written, added whole or not at all.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { formatModelName, parseModelName } from "#src/base/model_name.ts";
import { MAX_MANIFEST_BYTES } from "#src/program/registry/manifest.ts";
import { importModels } from "#src/transport/mirror/importing.ts";
import { listMirror } from "#src/transport/mirror/listing.ts";
import { Mirror } from "#src/transport/mirror/mirror.ts";
import type { Guard } from "#src/transport/mirror/reading/guard.ts";
import { collectGarbage, removeModel } from "#src/transport/mirror/upkeep.ts";
import { addBlob, addManifest } from "#src/transport/mirror/writing.ts";
import { failure } from "#tests/support/failure.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";

const PHI4 = "registry.ollama.ai/library/phi4/latest";
const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

let site: MirrorShare;
beforeEach(() => {
  site = new MirrorShare();
});
afterEach(() => site[Symbol.dispose]());

async function* bytesOf(...chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
}

async function importAll(...models: string[]) {
  const results = [];
  for await (const { name, bytes, error } of importModels(site.mirror, site.models, models, never))
    results.push({ model: formatModelName(name), bytes, code: error?.code ?? null });
  return results.toSorted((a, b) => a.model.localeCompare(b.model));
}

describe("find()", () => {
  test("returns a manifest byte for byte, and null for a model that is not there", async () => {
    const { text } = site.mirrored(PHI4, ["config", "weights"]);
    const found = await site.mirror.find("phi4:latest");
    expect(found?.text).toBe(text);
    expect(found?.manifest.digest).toBe(digestOf(text).slice("sha256:".length));
    expect(found?.manifest.totalBytes).toBe("configweights".length);
    expect(await site.mirror.find("phi4:other")).toBeNull();
    expect(await site.mirror.find("other.example:5000/me/phi4:latest")).toBeNull();
  });

  test("is unavailable on a share without a mirror, which may not be mounted", async () => {
    expect(await failure(site.mirror.find("phi4:latest"))).toMatchObject({ code: "unavailable" });
  });

  test.each([
    ["what is no JSON", "{"],
    ["what is too large", " ".repeat(MAX_MANIFEST_BYTES + 1)],
    ["a digest that is a path", JSON.stringify({ layers: [{ digest: "sha256:../../etc/passwd", size: 1 }] })],
  ])("refuses %s as a manifest", async (_, text) => {
    site.mirrored(PHI4, ["config"]);
    writeFileSync(site.at("manifests", PHI4), text);
    expect(await failure(site.mirror.find("phi4:latest"))).toMatchObject({ code: "conflict" });
  });

  test("follows no link: of a manifest, of a folder, of a blob", async () => {
    const { blobs } = site.model(PHI4, ["secret"]);
    const layer = { digest: digestOf("secret"), bytes: "secret".length };
    expect(blobs.size).toBe(1);
    mkdirSync(site.at("manifests", dirname(PHI4)), { recursive: true });
    symlinkSync(`${site.models}/manifests/${PHI4}`, site.at("manifests", PHI4));
    symlinkSync(`${site.models}/blobs`, site.at("blobs"));
    expect(await site.mirror.find("phi4:latest")).toBeNull();
    expect(await failure(site.mirror.openBlob(layer))).toMatchObject({ code: "conflict" });
    rmSync(site.at("blobs"));
    mkdirSync(site.at("blobs"));
    symlinkSync(
      `${site.models}/blobs/${layer.digest.replace(":", "-")}`,
      site.at("blobs", layer.digest.replace(":", "-")),
    );
    expect(await site.mirror.openBlob(layer)).toBeNull();
    rmSync(site.at("manifests"), { recursive: true });
    symlinkSync(`${site.models}/manifests`, site.at("manifests"));
    expect(await failure(site.mirror.find("phi4:latest"))).toMatchObject({ code: "conflict" });
  });

  test("waits for no writer of a pipe that is in the place of a manifest", async () => {
    mkdirSync(site.at("manifests", dirname(PHI4)), { recursive: true });
    expect(Bun.spawnSync(["mkfifo", site.at("manifests", PHI4)]).exitCode).toBe(0);
    expect(await site.mirror.find("phi4:latest")).toBeNull();
  });
});

describe("adding", () => {
  const layer = { digest: digestOf("weights"), bytes: "weights".length };
  const manifest = JSON.stringify({ layers: [{ digest: layer.digest, size: layer.bytes }] });

  test("a blob is there once its bytes were verified, and a manifest once its blobs are", async () => {
    const name = parseModelName("phi4");
    expect(await failure(addManifest(site.mirror, name, manifest))).toMatchObject({ code: "conflict" });
    await addBlob(site.mirror, layer, bytesOf("wei", "ghts"));
    await addManifest(site.mirror, name, manifest);
    expect((await site.mirror.find("phi4:latest"))?.text).toBe(manifest);
    expect(await site.mirror.missing([layer])).toEqual([]);
    expect(readFileSync(site.at("blobs", layer.digest.replace(":", "-")), "utf8")).toBe("weights");
    expect(readdirSync(site.at(".tmp"))).toEqual([]);
  });

  test.each([
    ["other bytes", ["WEIGHTS"]],
    ["too few bytes", ["weigh"]],
    ["too many bytes", ["weights", "more"]],
  ])("%s are refused, and leave nothing", async (_, chunks) => {
    expect(await failure(addBlob(site.mirror, layer, bytesOf(...chunks)))).toMatchObject({ code: "unavailable" });
    expect(readdirSync(site.at("blobs"))).toEqual([]);
    expect(readdirSync(site.at(".tmp"))).toEqual([]);
  });

  test("files may be read by whom the share lets in, whatever the umask", async () => {
    const before = process.umask(0o077);
    try {
      await addBlob(site.mirror, layer, bytesOf("weights"));
    } finally {
      process.umask(before);
    }
    const [share, blobs, blob] = [site.share, site.at("blobs"), site.at("blobs", layer.digest.replace(":", "-"))].map(
      (path) => statSync(path).mode & 0o777,
    );
    expect(blobs).toBe(share ?? 0);
    expect(blob).toBe((share ?? 0) & 0o666);
  });

  test("writes through no link", async () => {
    mkdirSync(site.at(), { recursive: true });
    symlinkSync(site.models, site.at("blobs"));
    expect(await failure(addBlob(site.mirror, layer, bytesOf("weights")))).toMatchObject({ code: "conflict" });
    expect(readdirSync(site.models)).toEqual([]);
  });
});

describe("importModels()", () => {
  test("copies every model of a folder, shared blobs once, and nothing again", async () => {
    site.model(PHI4, ["config", "shared"]);
    site.model("registry.example:5000/me/small/v1", ["other", "shared"]);
    const sizes = (await importAll()).map(({ model, bytes, code }) => [model, bytes, code]);
    expect(sizes.map(([model]) => model)).toEqual(["phi4:latest", "registry.example:5000/me/small:v1"]);
    expect(sizes.reduce((sum, [, bytes]) => sum + Number(bytes), 0)).toBe("configsharedother".length);
    expect(await importAll("phi4:latest")).toEqual([{ model: "phi4:latest", bytes: 0, code: null }]);
    expect((await site.mirror.find("phi4:latest"))?.text).toBe(
      readFileSync(`${site.models}/manifests/${PHI4}`, "utf8"),
    );
  });

  test("leaves a damaged model out, and copies the others", async () => {
    const { blobs } = site.model(PHI4, ["config", "weights"]);
    site.model("registry.ollama.ai/library/small/latest", ["good"]);
    const [, digest = ""] = blobs.keys();
    writeFileSync(`${site.models}/blobs/${digest.replace(":", "-")}`, "WEIGHTS");
    expect((await importAll()).map(({ model, code }) => [model, code])).toEqual([
      ["phi4:latest", "unavailable"],
      ["small:latest", null],
    ]);
    expect(await site.mirror.find("phi4:latest")).toBeNull();
  });

  test("names what is not there", async () => {
    expect(await failure(importAll())).toMatchObject({ code: "not_found" });
    site.model(PHI4, ["config"]);
    expect(await failure(importAll("qwen3:8b"))).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("qwen3:8b"),
    });
  });
});

describe("listMirror()", () => {
  test("shows what is incomplete and what cannot be read, and passes over what is no model", async () => {
    site.mirrored(PHI4, ["config", "weights"]);
    const { blobs } = site.mirrored("registry.ollama.ai/library/half/latest", ["a", "b"]);
    truncateSync(site.at("blobs", [...blobs.keys()][1]?.replace(":", "-") ?? ""), 0);
    site.mirrored("registry.ollama.ai/library/broken/latest", ["c"]);
    writeFileSync(site.at("manifests/registry.ollama.ai/library/broken/latest"), "no");
    writeFileSync(site.at("manifests/registry.ollama.ai/library/half/.latest.swp"), "{}");
    mkdirSync(site.at("manifests/-no/x/y"), { recursive: true });
    const { models } = await listMirror(site.mirror);
    expect(models.map(({ name, model, missing }) => [formatModelName(name), model !== null, missing])).toEqual([
      ["broken:latest", false, 0],
      ["half:latest", true, 1],
      ["phi4:latest", true, 0],
    ]);
  });

  test("keeps no more of large manifests than memory has room for", async () => {
    site.mirrored(PHI4, []);
    const first = site.at("manifests", PHI4);
    writeFileSync(first, readFileSync(first, "utf8").padEnd(MAX_MANIFEST_BYTES));
    for (let count = 0; count < 20; count++) linkSync(first, join(dirname(first), `copy${count}`));
    expect((await listMirror(site.mirror)).models).toHaveLength(16);
  });
});

/** Removes the manifest right after its folder was read. */
function removedMeanwhile(path: string): Mirror {
  const run: Guard["run"] = async (call) => {
    const value = await call();
    if (Array.isArray(value) && value.some(({ name }) => name === basename(path))) rmSync(path, { force: true });
    return value;
  };
  return new Mirror(site.share, { run, opened: async () => await Promise.resolve() });
}

describe("removing", () => {
  test("a model goes with the blobs that only it has, and its empty folders", async () => {
    site.mirrored(PHI4, ["config", "shared"]);
    site.mirrored("registry.example/me/small/v1", ["other", "shared"]);
    expect(await removeModel(site.mirror, parseModelName("phi4"))).toEqual({ files: 1, bytes: "config".length });
    expect(existsSync(site.at("manifests/registry.ollama.ai"))).toBe(false);
    expect((await listMirror(site.mirror)).models.map(({ missing }) => missing)).toEqual([0]);
    expect(await failure(removeModel(site.mirror, parseModelName("phi4")))).toMatchObject({ code: "not_found" });
  });

  test("several tags of a model may be removed at once, and listed meanwhile", async () => {
    const tags = ["a", "b", "c", "d"];
    for (const tag of tags) site.mirrored(`registry.ollama.ai/library/phi4/${tag}`, [tag]);
    const remove = async (tag: string) => await removeModel(site.mirror, parseModelName(`phi4:${tag}`));
    const removed = Promise.all(tags.map(remove));
    for (let isOver = false; !isOver; await listMirror(site.mirror))
      isOver = await Promise.race([removed.then(() => true), Bun.sleep(0).then(() => false)]);
    expect(await removed).toEqual(tags.map(() => ({ files: 1, bytes: 1 })));
    expect((await listMirror(site.mirror)).models).toEqual([]);
  });

  test("a model that is removed while the mirror is listed is no model that cannot be read", async () => {
    site.mirrored(PHI4, ["config"]);
    expect((await listMirror(removedMeanwhile(site.at("manifests", PHI4)))).models).toEqual([]);
  });

  test("gc removes blobs without a model after an hour, and unfinished files after 7 days", async () => {
    site.mirrored(PHI4, ["config"]);
    mkdirSync(site.at(".tmp"));
    const nowMs = Date.now();
    const place = (path: string, ageMs: number): void => {
      writeFileSync(site.at(path), "1234");
      utimesSync(site.at(path), new Date(nowMs - ageMs), new Date(nowMs - ageMs));
    };
    place(`blobs/sha256-${"a".repeat(64)}`, HOUR_MS + 1000);
    place(`blobs/sha256-${"b".repeat(64)}`, HOUR_MS - 1000);
    place("blobs/notes.txt", 100 * HOUR_MS);
    place(".tmp/old", 7 * 24 * HOUR_MS + 1000);
    place(".tmp/new", 6 * 24 * HOUR_MS);
    expect(await collectGarbage(site.mirror, nowMs)).toEqual({ files: 2, bytes: 8 });
    expect(readdirSync(site.at(".tmp"))).toEqual(["new"]);
    expect((await listMirror(site.mirror)).models[0]?.missing).toBe(0);
  });

  test("gc keeps every blob while another one is being written: its model has no manifest yet", async () => {
    site.mirrored(PHI4, ["config"]);
    mkdirSync(site.at(".tmp"), { recursive: true });
    const first = `blobs/sha256-${"f".repeat(64)}`;
    for (const [name, ageMs] of [
      [first, 5 * HOUR_MS],
      [".tmp/next-partial", 60_000],
    ] as const) {
      writeFileSync(site.at(name), "data");
      const at = new Date(Date.now() - ageMs);
      utimesSync(site.at(name), at, at);
    }
    expect(await collectGarbage(site.mirror, Date.now())).toEqual({ files: 0, bytes: 0 });
    expect(await collectGarbage(site.mirror, Date.now() + HOUR_MS)).toEqual({ files: 1, bytes: 4 });
    expect(existsSync(site.at(first))).toBe(false);
  });

  test("gc keeps every blob while a manifest cannot be read", async () => {
    site.mirrored(PHI4, ["config"]);
    writeFileSync(site.at("manifests", PHI4), "{");
    expect(await collectGarbage(site.mirror, Date.now() + 2 * HOUR_MS)).toEqual({ files: 0, bytes: 0 });
  });
});
