// gpu-agent beside the files that thousands of commands left behind.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const NO_OLLAMA = "http://127.0.0.1:9";

let site: ProcessSite;
beforeEach(() => {
  site = new ProcessSite();
});
afterEach(async () => await site.close());

test("it is ready and answers a ping at once with 5,000 old files in the inboxes", async () => {
  for (let i = 0; i < 2500; i++) {
    site.write(`gpu_commands/leftover_${i}.json`, { command: "fly", command_id: `leftover_${i}` });
    site.write(`gpu_commands/gpu-1/leftover_${i}.txt`, "x");
  }
  await site.agent("gpu-1", NO_OLLAMA);
  const startedMs = performance.now();
  expect((await site.gpuctl("ping")).status).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(5000);
  await until(() => site.list("gpu_status").length > 2500, "every old command is refused", 60_000);
  await until(() => site.state("gpu-1")["refused_commands"] === 5000, "they are counted");
}, 120_000);
