// Pulls through the mirror, beside an Ollama that really fetches: simulated, or real when OLLAMA_TEST_URL names one.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { Ollama } from "#src/agent/ollama/ollama.ts";
import { mirroredBytes } from "#src/agent/pulls/mirror/mirrored_bytes.ts";
import { MirroredOllama } from "#src/agent/pulls/mirror/mirrored_ollama.ts";
import { type MirrorMode, Sources } from "#src/agent/pulls/mirror/sources.ts";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { listedDigests } from "#src/program/registry/manifest.ts";
import { Registry as RegistryReader } from "#src/program/registry/registry.ts";
import { fetchModel } from "#src/transport/mirror/fetching.ts";
import { importModels } from "#src/transport/mirror/importing.ts";
import type { MirrorReader } from "#src/transport/mirror/reading/reader.ts";
import { RegistrySource } from "#src/transport/mirror/registry_source.ts";
import { failure } from "#tests/support/failure.ts";
import { MirrorServer } from "#tests/support/sites/mirror_server.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { PullSite, simulatedSubject } from "#tests/support/sites/pull_site.ts";

const MB = 1_000_000;

let share: MirrorShare;
/** As boxes read it: where they mount it, or through gpu-server. */
let mirror: MirrorReader;
let server: MirrorServer | null;
const sites: PullSite[] = [];
afterEach(async () => {
  for (const site of sites.splice(0)) await site.close();
  await server?.[Symbol.asyncDispose]();
  share[Symbol.dispose]();
});

async function openMirror(kind: "a folder" | "a server"): Promise<void> {
  share = new MirrorShare();
  server = kind === "a server" ? await MirrorServer.open(share.mirror) : null;
  mirror = server?.mirror ?? share.mirror;
}

/** A box whose pulls may come from the mirror. @param registry `host:port` of the one that it asks for manifests */
async function openBox(mode: Exclude<MirrorMode, "off">, registry = ""): Promise<PullSite> {
  const reader = readerOf(registry);
  const site = await PullSite.open(await simulatedSubject(), (ollama) => mirrored(ollama, mode, reader));
  sites.push(site);
  return site;
}

function readerOf(registry: string): RegistryReader {
  const insecure = registry === "" ? [] : [registry];
  return new RegistryReader({ registries: new AllowedRegistries({ agent: "gpu-1", allowed: ["*"], insecure }) });
}

function mirrored(ollama: Ollama, mode: Exclude<MirrorMode, "off">, registry: Pick<RegistryReader, "readManifest">) {
  const sources = new Sources({ mode, mirror, registry, signed: null, log: silentLog });
  return new MirroredOllama({ ollama, sources, log: silentLog });
}

/** A model in the mirror: its name, and its manifest. */
function mirrorModel(model: string, ...contents: readonly string[]): string {
  const { host, namespace, model: name, tag } = parseModelName(model);
  const config = JSON.stringify({ model_format: "gguf", model_family: "llama", model_type: "1K", file_type: "F32" });
  return share.mirrored(`${host}/${namespace}/${name}/${tag}`, [config, ...contents]).text;
}

/** @param registry `host:port` */
async function fetchAll(model: string, registry: string): Promise<void> {
  const registries = new AllowedRegistries({ agent: "this machine", allowed: [], insecure: [registry] });
  await fetchModel(parseModelName(model), {
    mirror: share.mirror,
    source: new RegistrySource({ registries }),
    clock: systemClock,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
}

async function importFrom(dir: string): Promise<void> {
  for await (const { error } of importModels(share.mirror, dir, [], new AbortController().signal))
    expect(error).toBeNull();
}

describe.each(["a folder", "a server"] as const)("a pull through the mirror in %s", (kind) => {
  beforeEach(async () => await openMirror(kind));

  test("ends with the model under its own name and with its digest, and with progress on the way", async () => {
    const text = mirrorModel("phi4:latest", "x".repeat(40 * MB), "license");
    const box = await openBox("only");
    const job = await box.ended(box.jobs.pull("phi4:latest"));
    expect(job).toMatchObject({ state: "succeeded", code: null, model: "phi4:latest" });
    expect(box.shown.some(({ state, completed_bytes: bytes }) => state === "running" && bytes > 0)).toBe(true);
    const models = await box.ollama.listModels();
    expect(models.map(({ name, digest }) => [name, digest])).toEqual([["phi4:latest", listedDigests(text)[0] ?? ""]]);
    expect(await box.ollama.listHelpers()).toEqual([]);
    expect(JSON.stringify(box.shown)).not.toContain("gpu-courier-mirror");
  });

  test("replaces an older model of that name, and frees its blobs", async () => {
    mirrorModel("phi4:latest", "old weights");
    const box = await openBox("only");
    await box.ended(box.jobs.pull("phi4:latest"));
    mirrorModel("phi4:latest", "new weights");
    expect(await box.ended(box.jobs.pull("phi4:latest"))).toMatchObject({ state: "succeeded" });
    const blobs = [...new Bun.Glob("*").scanSync(`${box.subject.modelsDir}/blobs`)];
    expect(blobs).toContain(digestOf("new weights").replace(":", "-"));
    expect(blobs).not.toContain(digestOf("old weights").replace(":", "-"));
    expect(await box.ollama.listHelpers()).toEqual([]);
  });

  test("fails at once, and shows why, when a blob on the share is damaged; it is not tried again", async () => {
    mirrorModel("phi4:latest", "good weights");
    writeFileSync(share.at("blobs", digestOf("good weights").replace(":", "-")), "evil weights");
    const box = await openBox("only");
    const job = await box.ended(box.jobs.pull("phi4:latest"));
    expect(job).toMatchObject({ state: "failed", code: "unavailable" });
    expect(job.error).toContain("digest mismatch: the mirror's copy is damaged");
    expect(job.error).toContain("gpuctl mirror verify --remove-damaged phi4:latest");
    expect(job.retries ?? 0).toBe(0);
    expect([await box.ollama.listModels(), await box.ollama.listHelpers()]).toEqual([[], []]);
  });

  test("goes on from the registry when a blob in the mirror is damaged, and does not take that copy again", async () => {
    let host = "";
    const readManifest = async (name: string) => await readerOf(host).readManifest(name);
    const box = await PullSite.open(await simulatedSubject(), (ollama) => mirrored(ollama, "auto", { readManifest }));
    sites.push(box);
    ({ host } = box.registry);
    const model = box.registry.offer("big", { layers: [300_000, 1000] });
    await fetchAll(model, host);
    const large = readdirSync(share.at("blobs")).find((name) => statSync(share.at("blobs", name)).size === 300_000);
    writeFileSync(share.at("blobs", large ?? ""), Buffer.alloc(300_000, "damaged"));
    const served = box.registry.served("big").bytes;
    const job = await box.ended(box.jobs.pull(model));
    expect(job).toMatchObject({ state: "succeeded", retries: 1 });
    expect([...box.notes].join()).toContain("the mirror's copy is damaged");
    expect(box.registry.served("big").bytes - served).toBeGreaterThanOrEqual(300_000);
    await box.ollama.deleteModel(model);
    expect(await box.ended(box.jobs.pull(model))).toMatchObject({ state: "succeeded", code: null });
    expect((await box.ollama.listModels()).map(({ name }) => name)).toEqual([model]);
  });

  test("refuses another model than the mirror's under the helper name: the port may have been another program's", async () => {
    mirrorModel("phi4:latest", "weights");
    mirrorModel("evil:latest", "evil weights");
    const box = await openBox("only");
    const evil = await share.mirror.find("evil:latest");
    if (evil === null) throw new Error("Not mirrored");
    const bytes = { ...mirroredBytes(share.mirror, evil), text: "{}" };
    const sources = { bytesOf: async () => await Promise.resolve(bytes) };
    const pulls = new MirroredOllama({ ollama: box.ollama, sources, log: silentLog });
    const error = await failure(pulls.pullModel("phi4:latest"));
    expect(error.message).not.toContain("gpu-courier-mirror");
    expect([await box.ollama.listModels(), await box.ollama.listHelpers()]).toEqual([[], []]);
  });

  test("of another attempt removes what a crash left under a helper name", async () => {
    mirrorModel("phi4:latest", "weights");
    const box = await openBox("only");
    await box.ended(box.jobs.pull("phi4:latest"));
    const left = `127.0.0.1:1/gpu-courier-mirror/${"0".repeat(32)}:latest`;
    await box.ollama.copyModel("phi4:latest", left);
    expect((await box.ollama.listModels()).map(({ name }) => name)).toEqual(["phi4:latest"]);
    expect(await box.ollama.listHelpers()).toHaveLength(1);
    await box.ended(box.jobs.pull("phi4:latest"));
    expect(await box.ollama.listHelpers()).toEqual([]);
  });

  test("can be cancelled, and leaves nothing under a helper name", async () => {
    mirrorModel("phi4:latest", "x".repeat(40 * MB));
    const box = await openBox("only");
    const job = box.jobs.pull("phi4:latest");
    await box.reaches(job, 1);
    await box.jobs.cancelJob(job.id ?? "").catch(() => undefined);
    expect(await box.ollama.listHelpers()).toEqual([]);
  });
});

describe.each(["a folder", "a server"] as const)("a fleet with the mirror in %s", (kind) => {
  beforeEach(async () => await openMirror(kind));

  test("of ten boxes downloads a model once", async () => {
    const first = await openBox("auto");
    const bytes = 20 * MB;
    const model = first.registry.offer("big", { layers: [bytes, 1000] });
    const direct = new Ollama({ url: first.subject.url, insecureRegistries: [first.registry.host] });
    await direct.pullModel(model);
    await importFrom(first.subject.modelsDir);
    for (let count = 1; count < 10; count++) {
      const box = await openBox("auto", first.registry.host);
      expect(await box.ended(box.jobs.pull(model))).toMatchObject({ state: "succeeded" });
      expect((await box.ollama.listModels()).map(({ name }) => name)).toEqual([model]);
      expect(box.fetchedBytes("big")).toBeGreaterThanOrEqual(bytes);
    }
    expect(first.registry.served("big").bytes).toBeLessThanOrEqual(1.02 * (bytes + 1000));
  }, 60_000);

  test("of ten boxes that pull from the mirror only costs the registry one copy", async () => {
    const first = await openBox("only");
    const bytes = 20 * MB;
    const model = first.registry.offer("big", { layers: [bytes, 1000] });
    await fetchAll(model, first.registry.host);
    const served = first.registry.served("big").bytes;
    await first.registry.stop();
    for (let count = 0; count < 10; count++) {
      const box = count === 0 ? first : await openBox("only");
      expect(await box.ended(box.jobs.pull(model))).toMatchObject({ state: "succeeded" });
    }
    expect(served).toBeLessThanOrEqual(1.02 * (bytes + 1000));
  }, 60_000);

  test("pulls what is newer in the registry from there", async () => {
    const box = await openBox("auto");
    const model = box.registry.offer("small", { layers: [1000] });
    mirrorModel(model, "an older one");
    const second = await openBox("auto", box.registry.host);
    const direct = mirrored(
      new Ollama({ url: second.subject.url, insecureRegistries: [box.registry.host] }),
      "auto",
      new RegistryReader({
        registries: new AllowedRegistries({ agent: "gpu-1", allowed: ["*"], insecure: [box.registry.host] }),
      }),
    );
    await direct.pullModel(model);
    expect(box.registry.served("small").bytes).toBe(1000);
    expect((await second.ollama.listModels()).map(({ name }) => name)).toEqual([model]);
  });
});
