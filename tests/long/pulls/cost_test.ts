// What a running pull costs the share: how often the agent writes its state.
import { expect, setDefaultTimeout, test } from "bun:test";
import { watch } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Registry } from "#sim/registry/registry.ts";
import { Job } from "#src/protocol.ts";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const StateOfPull = z.object({ jobs: z.array(Job), sequence: z.number() });

setDefaultTimeout(60_000);

test("a running pull writes the state at most twice a second", async () => {
  const site = new ProcessSite();
  const registry = await Registry.start();
  const ollama = new OllamaProcess(site.dir);
  try {
    await ollama.start();
    const own = ["--ollama-models", ollama.modelsDir, "--preflight", "on", "--insecure-registry", registry.host];
    await site.agent("gpu-1", ollama.url, own);
    const model = registry.offer("m", { layers: [18_000_000], bytesPerSecond: 3_000_000 });
    const state = () => StateOfPull.parse(site.state("gpu-1"));

    const writtenAtMs: number[] = [];
    const watcher = watch(join(site.share, "gpu_status"), (_, name) => {
      if (name === "gpu-1_status.json") writtenAtMs.push(performance.now());
    });
    site.write("gpu_commands/pull_model_1.json", {
      command: "pull_model",
      command_id: "pull_model_1",
      model_name: model,
    });
    await until(() => (state().jobs[0]?.completed_bytes ?? 0) > 0, "it has begun", 30_000);
    const from = { sequence: state().sequence, atMs: performance.now() };
    let to = from;
    await until(
      () => {
        const { jobs, sequence } = state();
        if (jobs[0]?.state !== "running") return true;
        to = { sequence, atMs: performance.now() };
        return false;
      },
      "all is fetched",
      30_000,
    );
    watcher.close();

    const seconds = (to.atMs - from.atMs) / 1000;
    const writes = to.sequence - from.sequence;
    expect(seconds).toBeGreaterThan(4);
    // It is shown as it goes on, the 5 s round included.
    expect(writes).toBeWithin(seconds, seconds * 2 + 1);
    const events = writtenAtMs.filter((atMs) => atMs > from.atMs && atMs <= to.atMs);
    expect(events.length).toBeLessThanOrEqual(seconds * 2 + 1);
  } finally {
    await site.close();
    await ollama.kill();
    await registry.stop();
  }
});
