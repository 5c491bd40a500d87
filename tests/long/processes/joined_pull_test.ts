// Ten clients ask for the same model at once, by an old file, over HTTP and with gpuctl: one job, one download, ten answers.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Job } from "#src/protocol.ts";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { until } from "#tests/process/site/site.ts";

const LAYERS = [20_000_000, 1_000];
const SLOW = 200_000;
const LIMIT_MS = 30_000;

test(
  "ten clients by three ways share one job and one download",
  async () => {
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer("wanted", { layers: LAYERS, bytesPerSecond: SLOW });
    const modelsDir = join(site.dir, "models");
    // It reports no bytes on the way, so the agent never closes the connection to save them.
    const ollama = await site.ollama({ modelsDir, catalog: [], progressIntervalMs: LIMIT_MS });
    const settings = ["--ollama-models", modelsDir, "--preflight", "on", ...insecure];
    await site.agent("gpu-1", ollama.url, settings);
    const server = await site.server();

    const files = Array.from({ length: 4 }, (_, index) => `pull_model_175259760${index}`);
    for (const id of files)
      site.write(`gpu_commands/${id}.json`, { command: "pull_model", command_id: id, model_name: model });
    const body = { kind: "pull", model, agents: ["gpu-1"] };
    const overHttp = Array.from({ length: 3 }, async () => await server.call("POST", "/v1/jobs", body));
    const inTerminals = Array.from({ length: 3 }, async () => await site.gpuctl("pull", model, "--json"));
    await until(() => Number(site.state("gpu-1")["processed_commands"]) >= 10, "all ten have asked");
    registry.setSpeed("wanted", Number.POSITIVE_INFINITY);

    for (const id of files)
      expect(await site.document(`gpu_status/${id}_response.json`)).toMatchObject({ success: true });
    const answers = await Promise.all(overHttp);
    const printed = await Promise.all(inTerminals);
    expect([answers.map(({ status }) => status), printed.map(({ status }) => status)]).toEqual([
      [202, 202, 202],
      [0, 0, 0],
    ]);
    const lines = printed.flatMap(({ stdout }) => stdout.trimEnd().split("\n"));
    const seen = [...answers.flatMap(({ answer }) => answer["jobs"]), ...lines.map((line) => JSON.parse(line))];
    const jobs = Job.array().parse(site.state("gpu-1")["jobs"]);
    expect(jobs).toMatchObject([{ state: "succeeded", completed_bytes: expect.any(Number) }]);
    expect(new Set(seen.map((job) => Job.parse(job).id))).toEqual(new Set([jobs[0]?.id ?? null]));
    expect(registry.served("wanted").bytes).toBe(LAYERS.reduce((sum, bytes) => sum + bytes, 0));
    expect(ollama.counters.requests["POST /api/pull"]).toBe(1);
  },
  LIMIT_MS,
);
