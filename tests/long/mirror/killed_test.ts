// What fills and uses the mirror is killed with SIGKILL at 30 % of a model, and started again: it goes on from there.
import { expect, test } from "bun:test";
import { Job } from "#src/protocol.ts";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { type ProcessSite, until } from "#tests/process/site/site.ts";
import { Box } from "./boxes.ts";
import { caughtUp, unfinishedBytes } from "./unfinished.ts";

/** With a real Ollama as large as the figures are for. */
const BYTES = process.env["OLLAMA_TEST_BINARY"] === undefined ? 20_000_000 : 300_000_000;
/** So that a pull takes some seconds. */
const PULL_RATE = `${BYTES / 8_000_000}MB/s`;
/** At the registry. */
const BYTES_PER_SECOND = BYTES / 4;
const KILLED = 128 + 9;
const LIMIT_MS = 120_000;

test(
  "gpuctl, killed while it fetches, fetches only the rest the next time",
  async () => {
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer("fetched", { layers: [BYTES, 11_000], bytesPerSecond: BYTES_PER_SECOND });
    const args = ["mirror", "add", model, ...insecure];
    const dying = site.start("client.ts", ["--share", site.share, ...args]);
    await until(() => unfinishedBytes(site.share) > 0.3 * BYTES, "30 % are in the mirror");
    await caughtUp(site, "fetched");
    expect(await dying.stop("SIGKILL")).toBe(KILLED);
    expect((await site.gpuctl("mirror", "list", "--json")).stdout).toContain('"models":[]');
    // The next one waits 30 s until it is sure that the first is gone.
    const child = site.start("client.ts", ["--share", site.share, ...args]);
    registry.setSpeed("fetched", BYTES_PER_SECOND);
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
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer(who.replace(/.* /, "killed-").toLowerCase(), { layers: [BYTES, 11_000] });
    await using box = await Box.open(site, name, ["--pull-rate", PULL_RATE, ...insecure]);
    expect(await site.gpuctl("mirror", "add", model, ...insecure)).toMatchObject({ status: 0 });
    expect(await site.gpuctl("pull", model, "--agent", box.name, "--detach")).toMatchObject({ status: 0 });
    await until(() => pulledBytes(site, box, model) > 0.3 * BYTES, "30 % are pulled");
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

function pulledBytes(site: ProcessSite, box: Box, model: string): number {
  const jobs = Job.array().parse(site.state(box.name)["jobs"]);
  return jobs.find((job) => job.model === model)?.completed_bytes ?? 0;
}
