// What a running pull costs the share: how often the agent writes its state.
import { expect, setDefaultTimeout, test } from "bun:test";
import { watch } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Job } from "#src/protocol.ts";
import { until } from "#tests/process/site/site.ts";
import { OneBox } from "./one_box.ts";

const StateOfPull = z.object({ jobs: z.array(Job), sequence: z.number() });

setDefaultTimeout(60_000);

test("a running pull writes the state at most twice a second", async () => {
  await using box = await OneBox.open();
  const { site } = box;
  await box.startAgent("--preflight", "on");
  const model = site.registry.offer("m", { layers: [18_000_000], bytesPerSecond: 3_000_000 });
  const state = () => StateOfPull.parse(box.state());

  const writtenAtMs: number[] = [];
  const watcher = watch(join(site.share, "gpu_status"), (_, name) => {
    if (name === "gpu-1_status.json") writtenAtMs.push(performance.now());
  });
  box.askForPull(model);
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
});
