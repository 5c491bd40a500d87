// disk and prune beside an Ollama that pulls: simulated, or the real one that OLLAMA_TEST_BINARY names. This
// counts again what they count, from the files alone.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { ModelsFolder } from "#src/agent/disk/models_folder.ts";
import { pruneDisk, showDisk } from "#src/agent/models/disk_verbs.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { compareTexts } from "#src/base/order.ts";
import { DiskDocument, PrunedDocument } from "#src/documents/models/disk.ts";
import type { Pruned } from "#src/protocol.ts";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { createSample } from "#tests/server/ollama/clients/site/sample_model.ts";
import { PullSite } from "#tests/support/sites/pull_site.ts";
import { until } from "#tests/support/until.ts";

const MB = 1_000_000;
const HOUR_MS = 3_600_000;
const ORPHANS = { one: 123_457, two: 8_191 };

const Manifest = z.object({
  config: z.object({ digest: z.string() }),
  layers: z.array(z.object({ digest: z.string() })),
});

let home: string;
let ollama: OllamaProcess;
let site: PullSite;
/** Two hours after the files were made. */
const later: Clock = { ...systemClock, now: () => Date.now() + 2 * HOUR_MS, monotonic: () => systemClock.monotonic() };

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "gpu-courier-prune-"));
  ollama = new OllamaProcess(home);
  await ollama.start();
  const counting = { takenBytes: () => null, excess: 0.1, close: async () => await Promise.resolve() };
  const { url, modelsDir } = ollama;
  site = await PullSite.open({ url, modelsDir, clock: systemClock, stallMs: 10_000, limitMs: 60_000, ...counting });
  site.jobs.start();
});
afterEach(async () => {
  await site.close();
  await ollama.kill();
  rmSync(home, { recursive: true, force: true });
});

function parts() {
  const listing = { models: null, listModels: async () => await site.ollama.listModels() };
  const models = new ModelsFolder({ modelsDir: ollama.modelsDir, listing, clock: systemClock, log: silentLog });
  return { models, jobs: site.jobs, clock: later };
}

async function prune(dryRun: boolean): Promise<Pruned> {
  const { pruned } = await pruneDisk(dryRun ? { dry_run: true } : {}, parts());
  if (pruned === undefined) throw new Error("Nothing is reported");
  return pruned;
}

/** Pulls a model to its end. */
async function pulled(name: string): Promise<void> {
  const job = await site.ended(site.jobs.pull(name));
  expect([name, job.state, job.error]).toEqual([name, "succeeded", null]);
}

function inBlobs(name: string): string {
  return join(ollama.modelsDir, "blobs", name);
}

/** A whole blob that no manifest names. */
function plantOrphan(text: string, bytes: number): string {
  const content = Buffer.alloc(bytes, text);
  const name = `sha256-${createHash("sha256").update(content).digest("hex")}`;
  writeFileSync(inBlobs(name), content);
  return name;
}

/** A download of another Ollama's release: sparse, with notes on its parts. */
function plantPartial(digit: string): string[] {
  const name = `sha256-${digit.repeat(64)}-partial`;
  writeFileSync(inBlobs(name), Buffer.alloc(70_000, 1));
  truncateSync(inBlobs(name), 50 * MB);
  writeFileSync(inBlobs(`${name}-0`), '{"N":0,"Offset":0,"Size":50000000,"Completed":70000}');
  return [name, `${name}-0`];
}

function sizes(names: readonly string[], measure: (path: string) => number): number {
  return names.reduce((sum, name) => sum + measure(inBlobs(name)), 0);
}
const lengthOf = (path: string): number => lstatSync(path).size;
const blocksOf = (path: string): number => lstatSync(path).blocks * 512;

/** The files of the folder by kind, read without the agent's code. */
function countFiles() {
  const named = new Set(
    readdirSync(join(ollama.modelsDir, "manifests"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .flatMap(({ parentPath, name }) => {
        const { config, layers } = Manifest.parse(JSON.parse(readFileSync(join(parentPath, name), "utf8")));
        return [config, ...layers].map(({ digest }) => digest.replace(":", "-"));
      }),
  );
  const files = readdirSync(join(ollama.modelsDir, "blobs"), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.startsWith("sha256-"))
    .map(({ name }) => name);
  const partials = files.filter((name) => name.includes("-partial"));
  const whole = files.filter((name) => !name.includes("-partial"));
  return {
    partials,
    orphans: whole.filter((name) => !named.has(name)),
    models: whole.filter((name) => named.has(name)),
  };
}

/** Ollama's list and details of its models. Each of their blobs must have the bytes of its digest. */
async function health(names: readonly string[]) {
  const { models } = countFiles();
  for (const name of models) {
    const digest = createHash("sha256")
      .update(readFileSync(inBlobs(name)))
      .digest("hex");
    expect(`sha256-${digest}`).toBe(name);
  }
  // A real one lists them in any order.
  const listed = (await site.ollama.listModels()).toSorted((a, b) => compareTexts(a.name, b.name));
  const shown = await Promise.all(names.map(async (name) => await site.ollama.showModel(name)));
  return { listed, shown, blobs: models.toSorted() };
}

/** Two models that share a layer, a download that was cancelled, and what tests and people may have left there. */
async function openFolder() {
  const { registry } = site;
  const one = registry.offer("one", { layers: [3 * MB, 1_000] });
  const two = registry.offer("two", { layers: [3 * MB, 2_000], content: "one" });
  for (const name of [one, two]) await pulled(name);
  // A real one can show only what is a GGUF.
  const isReal = process.env["OLLAMA_TEST_BINARY"] !== undefined;
  if (isReal) await createSample(ollama.url, "sample:latest");
  const cut = registry.offer("cut", { layers: [8 * MB], bytesPerSecond: 2 * MB });
  const job = site.jobs.pull(cut);
  await until(() => site.job(job.id).completed_bytes > MB);
  await site.jobs.cancel(cut);
  await site.ended(job);
  await until(() => countFiles().partials.length > 0);
  const planted = [...Object.entries(ORPHANS).map(([text, bytes]) => plantOrphan(text, bytes)), ...plantPartial("e")];
  writeFileSync(inBlobs("notes.txt"), "not a blob");
  writeFileSync(join(home, "elsewhere"), "not in the folder");
  symlinkSync(join(home, "elsewhere"), inBlobs(`sha256-${"d".repeat(64)}`));
  return { two, planted, shown: isReal ? ["sample:latest"] : [one, two] };
}

test("disk counts to the byte, prune spares a running pull, then removes what is left over and nothing else", async () => {
  const { two, planted, shown } = await openFolder();
  const before = await health(shown);
  const found = countFiles();
  expect(planted.every((name) => [...found.orphans, ...found.partials].includes(name))).toBe(true);
  const expected = {
    models_bytes: sizes(found.models, lengthOf),
    partials_bytes: sizes(found.partials, blocksOf),
    orphans_bytes: sizes(found.orphans, lengthOf),
  };
  const { disk_usage: usage } = await showDisk(parts());
  expect(usage).toMatchObject(expected);
  const shares = new Map(usage?.models.map(({ name, shared_bytes }) => [name, shared_bytes]));
  expect(shares.get(two)).toBe(3 * MB);

  const slow = site.registry.offer("slow", { layers: [6 * MB, 10], bytesPerSecond: 2 * MB });
  const job = site.jobs.pull(slow);
  await until(() => site.job(job.id).completed_bytes > MB);
  site.registry.setSpeed("slow", MB / 5);
  for (const dryRun of [true, false]) {
    const during = await prune(dryRun);
    expect([during.count, during.bytes, during.removed]).toEqual([0, 0, []]);
    expect(new Set(during.kept.map(({ reason }) => reason))).toEqual(new Set([`${slow} is being pulled`]));
  }
  site.registry.setSpeed("slow", Number.POSITIVE_INFINITY);
  const ended = await site.ended(job);
  expect([ended.state, ended.retries]).toEqual(["succeeded", 0]);

  const surplus = expected.partials_bytes + expected.orphans_bytes;
  const dry = await prune(true);
  expect([dry.bytes, dry.kept]).toEqual([surplus, []]);
  expect(countFiles().orphans.toSorted()).toEqual(found.orphans.toSorted());
  const pruned = await prune(false);
  expect({ ...pruned, dry_run: true }).toEqual(dry);

  expect(countFiles()).toMatchObject({ partials: [], orphans: [] });
  expect(readFileSync(inBlobs("notes.txt"), "utf8")).toBe("not a blob");
  expect(lstatSync(inBlobs(`sha256-${"d".repeat(64)}`)).isSymbolicLink()).toBe(true);
  const after = await health(shown);
  expect(after.listed.filter(({ name }) => name !== slow)).toEqual([...before.listed]);
  expect(after.shown).toEqual(before.shown);
  expect(after.blobs).toEqual(expect.arrayContaining(before.blobs));
  await site.ollama.deleteModel(two);
  await pulled(two);
  const version = await site.ollama.version();
  process.stderr.write(
    `Ollama ${version}: models ${expected.models_bytes} B, partial ${expected.partials_bytes} B, orphaned ${expected.orphans_bytes} B; ` +
      `removed ${pruned.count} blobs, ${pruned.bytes} B, of files with ${surplus} B\n`,
  );
}, 120_000);

test("prunes by gpuctl and over HTTP, beside a pull on a share, remove nothing, and no byte is fetched twice", async () => {
  await using share = await RegistrySite.open();
  const { registry, insecure } = share;
  const layers = [20 * MB, 1_000];
  const model = registry.offer("wanted", { layers, bytesPerSecond: MB / 5 });
  const modelsDir = join(share.dir, "models");
  const simulated = await share.ollama({ modelsDir, catalog: [] });
  const settings = ["--ollama-models", modelsDir, "--preflight", "on", ...insecure];
  await share.agent("gpu-1", simulated.url, settings);
  const server = await share.server();
  const orphan = join(modelsDir, "blobs", `sha256-${"d".repeat(64)}`);
  writeFileSync(orphan, Buffer.alloc(54_321, 1));

  const pull = share.gpuctl("pull", model, "--json");
  await until(() => registry.served("wanted").bytes > 0);
  const [printed, answered] = await Promise.all([
    Promise.all([1, 2, 3].map(async () => await share.gpuctl("prune", "gpu-1", "--json"))),
    Promise.all([1, 2, 3].map(async () => await server.call("POST", "/v1/agents/gpu-1/prune", {}))),
  ]);
  const documents = [...printed.map(({ stdout }) => JSON.parse(stdout)), ...answered.map(({ answer }) => answer)];
  for (const document of documents) {
    const [only] = PrunedDocument.parse(document).agents;
    expect(only?.pruned?.removed).toEqual([]);
    expect(new Set(only?.pruned?.kept.map(({ reason }) => reason))).toEqual(new Set([`${model} is being pulled`]));
  }
  registry.setSpeed("wanted", Number.POSITIVE_INFINITY);
  expect((await pull).status).toBe(0);
  expect(registry.served("wanted").bytes).toBe(20 * MB + 1_000);
  const [usage] = DiskDocument.parse(JSON.parse((await share.gpuctl("disk", "--json")).stdout)).agents;
  expect(usage?.usage).toMatchObject({ orphans_bytes: lengthOf(orphan), partials_bytes: 0 });
}, 60_000);
