// What fills and uses the mirror is killed with SIGKILL at 30 % of a model, and started again: it goes on from there.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { Job } from "#src/protocol.ts";
import { ProcessSite, until } from "#tests/process/site/site.ts";
import { Box } from "./boxes.ts";

/** With a real Ollama as large as the figures are for. */
const BYTES = process.env["OLLAMA_TEST_BINARY"] === undefined ? 20_000_000 : 300_000_000;
/** So that a pull takes some seconds. */
const PULL_RATE = `${BYTES / 8_000_000}MB/s`;
/** At the registry: what it has sent and nobody has read does not count much. */
const BYTES_PER_SECOND = BYTES / 4;
const KILLED = 128 + 9;
const LIMIT_MS = 120_000;

let site: ProcessSite;
let registry: Registry;
beforeAll(async () => {
  site = new ProcessSite();
  registry = await Registry.start();
});
afterAll(async () => {
  await site.close();
  await registry.stop();
});

test(
  "gpuctl, killed while it fetches, fetches only the rest the next time",
  async () => {
    const model = registry.offer("fetched", { layers: [BYTES, 11_000], bytesPerSecond: BYTES_PER_SECOND });
    const args = ["mirror", "add", model, "--insecure-registry", registry.host];
    const dying = site.start("client.ts", ["--share", site.share, ...args]);
    await until(() => fetchedBytes() > 0.3 * BYTES, "30 % are in the mirror");
    expect(await dying.stop("SIGKILL")).toBe(KILLED);
    expect((await site.gpuctl("mirror", "list", "--json")).stdout).toContain('"models":[]');
    // The next one waits 30 s until it is sure that the first is gone.
    const child = site.start("client.ts", ["--share", site.share, ...args]);
    expect(await child.exited()).toBe(0);
    const copies = registry.served("fetched").bytes / BYTES;
    process.stdout.write(`gpuctl mirror add killed at 30 %: ${copies.toFixed(3)} copies from the registry\n`);
    expect(copies).toBeLessThanOrEqual(1.02);
    expect((await site.gpuctl("mirror", "list", "--json")).stdout).toContain(model);
  },
  LIMIT_MS,
);

test.each([
  ["an agent", "gpu-1", async (box: Box) => await box.killAgent()],
  ["an Ollama", "gpu-2", async (box: Box) => await box.killOllama()],
] as const)(
  "%s, killed while it pulls, ends with the model, and its registry has sent it once",
  async (who, name, kill) => {
    const model = registry.offer(who.replace(/.* /, "killed-").toLowerCase(), { layers: [BYTES, 11_000] });
    const insecure = ["--insecure-registry", registry.host];
    await using box = await Box.open(site, name, ["--pull-rate", PULL_RATE, ...insecure]);
    expect(await site.gpuctl("mirror", "add", model, ...insecure)).toMatchObject({ status: 0 });
    expect(await site.gpuctl("pull", model, "--agent", box.name, "--detach")).toMatchObject({ status: 0 });
    await until(() => pulledBytes(box, model) > 0.3 * BYTES, "30 % are pulled");
    await kill(box);
    const isThere = (): boolean => JSON.stringify(site.state(box.name)["models"]).includes(model);
    await until(isThere, "the model is there", LIMIT_MS);
    expect(site.state(box.name)["models"]).toMatchObject([{ name: model }]);
    expect(JSON.stringify(site.state(box.name))).not.toContain("gpu-courier-mirror");
    const copies = registry.served(model.replace(/.*\/|:.*/g, "")).bytes / BYTES;
    process.stdout.write(`${who} killed at 30 % of a pull: ${copies.toFixed(3)} copies from the registry\n`);
    expect(copies).toBeLessThanOrEqual(1.02);
  },
  LIMIT_MS,
);

function pulledBytes(box: Box, model: string): number {
  const jobs = Job.array().parse(site.state(box.name)["jobs"]);
  return jobs.find((job) => job.model === model)?.completed_bytes ?? 0;
}

function fetchedBytes(): number {
  const folder = join(site.share, "gpu_models", ".tmp");
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
