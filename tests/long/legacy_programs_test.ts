// The legacy programs against the new ones at full length and with their own intervals; minutes, so not part of `npm test`.
import { afterAll, describe, expect, test } from "bun:test";
import { LegacyBackend } from "#sim/legacy/backend.ts";
import { LegacyService } from "#sim/legacy/service.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [2_000_000] };
const LISTS = 100;
/** Two lists within one second would share an id. */
const APART_MS = 1050;
/** How much later than its own next poll, as long as that really lasted, a list may be. */
const LATEST_MS = 200;

const sites: ProcessSite[] = [];
afterAll(async () => await Promise.all(sites.map(async (site) => await site.close())));

function openSite(): ProcessSite {
  const site = new ProcessSite();
  sites.push(site);
  return site;
}

/** The system's clock, which shows how long the pauses between polls really were: a busy machine stretches them. */
class MeasuredPause implements Clock {
  sleptMs = 0;
  now = (): number => systemClock.now();
  monotonic = (): number => systemClock.monotonic();

  async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    const startedMs = performance.now();
    await systemClock.sleep(durationMs, signal);
    this.sleptMs += performance.now() - startedMs;
  }
}

describe("legacy programs", () => {
  test.concurrent(`the new agent answers ${LISTS} of ${LISTS} lists of the legacy backend at its next poll`, async () => {
    const site = openSite();
    const ollama = await site.ollama({ catalog: [PHI], installed: [PHI] });
    await site.agent("gpu-1", ollama.url);
    const pause = new MeasuredPause();
    const backend = new LegacyBackend(site.share, { clock: pause });
    const waits: number[] = [];
    const late: number[] = [];
    for (let list = 1; list <= LISTS; list++) {
      const startedMs = performance.now();
      pause.sleptMs = 0;
      const { models, reason, waitedMs, polls } = await backend.listModels();
      expect([list, reason, models.length]).toEqual([list, "answered", 1]);
      expect(polls).toBeLessThanOrEqual(2);
      waits.push(waitedMs);
      late.push(waitedMs - pause.sleptMs);
      await Bun.sleep(Math.max(0, startedMs + APART_MS - performance.now()));
    }
    const [slowest, latest] = [Math.round(Math.max(...waits)), Math.round(Math.max(...late))];
    process.stderr.write(`${LISTS} lists answered, slowest ${slowest} ms, at most ${latest} ms after its poll\n`);
    expect(latest).toBeLessThan(LATEST_MS);
    expect(site.list("gpu_commands")).toEqual(["gpu-1"]);
    expect(site.list("gpu_status")).toEqual(["gpu-1_status.json"]);
  }, 300_000);

  test.concurrent("old pulls and deletes leave no file behind, also when an agent is killed with them half done", async () => {
    const site = openSite();
    const catalog = Array.from({ length: 6 }, (_, i) => ({ name: `m${i}:latest`, layers: [1_000_000] }));
    const ollama = await site.ollama({ catalog, bytesPerSecond: 5_000_000 });
    const first = await site.agent("gpu-1", ollama.url);
    const backend = new LegacyBackend(site.share);
    for (const { name } of catalog.slice(0, 3)) {
      backend.pullModel(name);
      await Bun.sleep(APART_MS);
    }
    await first.stop("SIGKILL");
    await site.agent("gpu-1", ollama.url);
    for (const { name } of catalog.slice(3)) {
      backend.pullModel(name);
      await Bun.sleep(APART_MS);
    }
    await until(() => ollama.installed().length === 6, "all six are pulled", 30_000);
    for (const { name } of catalog) {
      backend.deleteModel(name);
      await Bun.sleep(APART_MS);
    }
    await until(() => ollama.installed().length === 0, "all six are deleted", 30_000);
    await until(() => site.list("gpu_commands").every((name) => name === "gpu-1"), "no command is left", 30_000);
  }, 120_000);

  test.concurrent("the legacy service answers the new server and gpuctl list 20 of 20 times", async () => {
    const site = openSite();
    const ollama = await site.ollama({ catalog: [PHI], installed: [PHI] });
    const old = new LegacyService(site.share, ollama.url);
    old.start();
    await site.document("gpu_status/gpu_status.json");
    const server = await site.server();
    let answered = 0;
    for (let time = 1; time <= 20; time++) {
      const [http, listed] = await Promise.all([
        server.call("GET", "/api/config/models"),
        site.gpuctl("list", "--json"),
      ]);
      expect([time, http.status, http.answer["models"]]).toMatchObject([time, 200, [{ name: "phi4:latest" }]]);
      expect([time, listed.status, listed.stderr]).toEqual([time, 0, ""]);
      expect(JSON.parse(listed.stdout)).toMatchObject({ models: [{ name: "phi4:latest" }] });
      answered += 1;
    }
    await old.stop();
    process.stderr.write(`the legacy service answered ${answered} of 20 times each way\n`);
    expect(site.list("gpu_commands")).toEqual([]);
  }, 300_000);

  test.concurrent("a second box of the same name waits, after it watched the other one, and starts when that stops", async () => {
    const site = openSite();
    const ollama = await site.ollama({ catalog: [PHI] });
    const first = await site.agent("gpu-1", ollama.url);
    const second = site.startAgent("gpu-1", ollama.url, ["--state-dir", `${site.dir}/elsewhere`]);
    await second.logged("Another agent is called");
    expect(site.state("gpu-1")["status"]).toBe("running");
    await first.stop();
    await second.logged("Ready");
    expect(second.log).toContain("Name conflict resolved");
  }, 60_000);
});
