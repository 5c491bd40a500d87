// Pulls of a box with a rate, or outside its hours, whose agent is killed on the way.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { z } from "zod";
import { Registry } from "#sim/registry/registry.ts";
import { Job } from "#src/protocol.ts";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";

const SIZE = 30_000_000;
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
  const args = ["--ollama-models", ollama.modelsDir, "--insecure-registry", registry.host];
  return await site.agent("gpu-1", ollama.url, [...args, ...more]);
}

/** The only job; undefined: not yet. */
function job(): Job | undefined {
  return StateWithJobs.parse(site.state("gpu-1")).jobs[0];
}

async function ended(): Promise<Job> {
  return await until(() => ((job()?.ended_at ?? null) === null ? undefined : job()), "the job has ended", LIMIT_MS);
}

test("a pull within a rate goes on when its agent is killed at 30 %, and leaves no helper name", async () => {
  const name = registry.offer("m", { layers: [SIZE] });
  const rate = ["--pull-rate", "5MB/s"];
  const agent = await startAgent(...rate);
  expect((await site.gpuctl("pull", name, "--detach")).status).toBe(0);
  await until(() => (job()?.completed_bytes ?? 0) >= SIZE * 0.3, "30 % are there", LIMIT_MS);
  const before = job();
  await agent.stop("SIGKILL");
  const beganAtMs = performance.now();
  await startAgent(...rate);
  expect(await ended()).toMatchObject({ id: before?.id, model: name, state: "succeeded" });
  expect((performance.now() - beganAtMs) / 1000).toBeGreaterThan(((SIZE * 0.6) / 5_000_000) * 0.8);
  expect(registry.served("m").bytes / SIZE).toBeWithin(1, 1.5);
  const { models } = z
    .object({ models: z.array(z.object({ name: z.string() })) })
    .parse(await (await fetch(`${ollama.url}/api/tags`)).json());
  expect(models.map((model) => model.name)).toEqual([name]);
});

test("a pull outside the box's hours waits on when its agent is killed, and --now lets the same job go", async () => {
  const name = registry.offer("m", { layers: [1_000_000] });
  const hour = (later: number): string => `${String((new Date().getUTCHours() + later) % 24).padStart(2, "0")}:00`;
  const hours = ["--pull-window", `TZ=UTC ${hour(6)}-${hour(7)}`];
  const agent = await startAgent(...hours);
  const asked = await site.gpuctl("pull", name, "--detach");
  expect(asked).toMatchObject({ status: 0, stdout: expect.stringContaining("queued") });
  await until(() => job()?.state === "queued", "the job waits", LIMIT_MS);
  const before = job();
  expect(before?.waiting_for).toContain(`${hour(6)} UTC`);
  await agent.stop("SIGKILL");
  await startAgent(...hours);
  expect(job()).toMatchObject({ id: before?.id, state: "queued", waiting_for: before?.waiting_for });
  const { status, stdout } = await site.gpuctl("pull", name, "--now");
  expect([status, stdout.includes("succeeded")]).toEqual([0, true]);
  expect(job()).toMatchObject({ id: before?.id, state: "succeeded", waiting_for: null, retry_at: null });
});
