// A pull whose agent, or whose Ollama, is killed on the way ends anyway, and fetches next to nothing twice.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { z } from "zod";
import { Registry } from "#sim/registry/registry.ts";
import { Job } from "#src/protocol.ts";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";

const SIZE = 40_000_000;
const BYTES_PER_SECOND = 3_000_000;
const LIMIT_MS = 60_000;
const StateWithJobs = z.object({ jobs: z.array(Job) });

setDefaultTimeout(LIMIT_MS * 2);

let site: ProcessSite;
let registry: Registry;
let ollama: OllamaProcess;
beforeEach(async () => {
  site = new ProcessSite();
  registry = await Registry.start();
  ollama = new OllamaProcess(site.dir);
  await ollama.start();
});
afterEach(async () => {
  await site.close();
  await ollama.kill();
  await registry.stop();
});

async function startAgent(...more: readonly string[]): Promise<Running> {
  return await site.agent("gpu-1", ollama.url, [
    "--ollama-models",
    ollama.modelsDir,
    "--preflight",
    "on",
    "--insecure-registry",
    registry.host,
    ...more,
  ]);
}

/** The only job there is; undefined: not yet. */
function job(): Job | undefined {
  return StateWithJobs.parse(site.state("gpu-1")).jobs[0];
}

/** Asks as a legacy backend does, which never learns of its pull again, and waits until 30 % are there. */
async function pullThirtyPercent(): Promise<void> {
  const model_name = registry.offer("m", { layers: [SIZE], bytesPerSecond: BYTES_PER_SECOND });
  site.write("gpu_commands/pull_model_1.json", { command: "pull_model", command_id: "pull_model_1", model_name });
  await until(() => (job()?.completed_bytes ?? 0) >= SIZE * 0.3, "30 % are there", LIMIT_MS);
}

/** @returns how the job ended, and how much was fetched of the model, in its sizes */
async function end(): Promise<{ job: Job; fetched: number }> {
  registry.setSpeed("m", 20_000_000);
  const ended = await until(
    () => {
      const found = job();
      return found !== undefined && found.ended_at !== null && found;
    },
    "the job has ended",
    LIMIT_MS,
  );
  return { job: ended, fetched: registry.served("m").bytes / SIZE };
}

test("when the agent is killed at 30 %, its next process goes on with the job", async () => {
  const agent = await startAgent();
  await pullThirtyPercent();
  const before = job();
  await agent.stop("SIGKILL");
  await startAgent();
  const { job: after, fetched } = await end();
  expect(after).toMatchObject({ id: before?.id, state: "succeeded", total_bytes: after.completed_bytes });
  expect(fetched).toBeWithin(1, 1.1);
});

test("when Ollama is killed at 30 %, the job waits for it and goes on", async () => {
  await startAgent("--pull-save-interval", "1");
  await pullThirtyPercent();
  await ollama.kill();
  await until(
    () => /Ollama (does not answer|ended the connection)/.test(job()?.note ?? ""),
    "the job says that Ollama is away",
    LIMIT_MS,
  );
  await ollama.start();
  const { job: after, fetched } = await end();
  expect(after).toMatchObject({ state: "succeeded", note: null });
  expect(after.retries).toBeGreaterThan(0);
  // Saved bytes are not fetched again: only those of the last second, and those on their way when a connection closed.
  expect(fetched).toBeWithin(1, 1.2);
});
