// How long the compiled gpuctl takes from its start to its output, through a gpu-server on loopback.
import { expect, test } from "bun:test";
import { TwoWays } from "#tests/client/ways/two_ways.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";
import { cachedBinary } from "../../../scripts/binaries.ts";

/** On an idle machine. */
const TARGET_MS = 150;
/** Other tests run at the same time. */
const ALLOWANCE = 5;
const RUNS = 7;

async function outputAfterMs(command: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const child = Bun.spawn([...command], { stdio: ["ignore", "pipe", "inherit"], env: { HOME: "/nonexistent" } });
  const reader = child.stdout.getReader();
  await reader.read();
  const tookMs = performance.now() - startedMs;
  reader.releaseLock();
  expect(await child.exited).toBe(0);
  return tookMs;
}

async function medianMs(command: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) times.push(await outputAfterMs(command));
  return times.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)] ?? Number.NaN;
}

test("gpuctl --server URL list prints after 150 ms, and five times that on a busy machine", async () => {
  await using site = await TwoWays.open();
  await site.agent("gpu-1", { models: [modelOf("phi4:latest")] });
  const gpuctl = await cachedBinary("gpuctl");
  const listMs = await medianMs([gpuctl, "--server", site.url, "--token-file", await site.tokenFile(), "list"]);
  const versionMs = await medianMs([gpuctl, "version"]);
  process.stdout.write(
    `gpuctl list through gpu-server: ${listMs.toFixed(0)} ms, version: ${versionMs.toFixed(0)} ms\n`,
  );
  expect(listMs).toBeLessThan(ALLOWANCE * TARGET_MS);
});
