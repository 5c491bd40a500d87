// The cost of pulling through a job, against a plain `POST /api/pull` of the same model at the same Ollama and registry.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { isEnded, type Job } from "#src/protocol.ts";
import { openTransport } from "#src/transport/open.ts";
import { ROOT } from "../binaries.ts";
import { Child } from "../children.ts";
import { median } from "./measure.ts";
import type { Measure } from "./report.ts";
import { AGENT, agentCommand } from "./subject.ts";

/** One large layer, as models have it, and two small ones. */
const SMALL_LAYERS = [400, 11_000];
/** Ollama fetches a layer in parts of 100 MB, all at a time: 300 MB/s for 1.5 GB, which two cores can take. */
const BYTES_PER_SECOND = 20_000_000;
const POLL_MS = 50;
const LIMIT_MS = 120_000;

interface Site {
  readonly ollamaUrl: string;
  readonly courier: Courier;
  readonly model: string;
}

/**
 * Alternates plain pulls and jobs, so that whatever else the machine does hits both. OLLAMA_TEST_URL names a real Ollama,
 * which must run on this machine; without it the simulated one is started.
 * @param dir created, not removed
 */
export async function measurePull(dir: string, bytes: number, pairs: number): Promise<Measure[]> {
  mkdirSync(join(dir, "share"), { recursive: true });
  const registry = await Registry.start();
  const models = join(dir, "models");
  const simulated = process.env["OLLAMA_TEST_URL"] === undefined ? await startSimulation(dir, models) : undefined;
  const ollamaUrl = simulated?.url ?? process.env["OLLAMA_TEST_URL"] ?? "";
  const agent = new Child(
    [...(await agentCommand(dir, ollamaUrl)), "--insecure-registry", registry.host, "--preflight", "on"].concat(
      simulated === undefined ? [] : ["--ollama-models", models],
    ),
    dir,
  );
  await agent.line("Ready");
  const transport = openTransport(join(dir, "share"), {
    create: "never",
    watch: "auto",
    clock: systemClock,
    log: silentLog,
  });
  await transport.connect();
  const courier = new Courier(transport, { sender: "bench", timeoutMs: 10_000 });
  try {
    const model = registry.offer("bench-pull", { layers: [bytes, ...SMALL_LAYERS], bytesPerSecond: BYTES_PER_SECOND });
    return await measurePairs({ ollamaUrl, courier, model }, bytes, pairs);
  } finally {
    await courier.close();
    await transport.close();
    await agent.stop();
    await simulated?.child.stop();
    await registry.stop();
  }
}

async function startSimulation(dir: string, models: string): Promise<{ url: string; child: Child }> {
  const child = new Child([process.execPath, join(ROOT, "sim/ollama/main.ts"), "--models", models], dir);
  const { url } = await child.line('"url"');
  return { url: String(url), child };
}

async function measurePairs(site: Site, bytes: number, pairs: number): Promise<Measure[]> {
  await pullPlainly(site);
  const rounds: { plainMs: number; jobMs: number }[] = [];
  while (rounds.length < pairs) rounds.push({ plainMs: await pullPlainly(site), jobMs: await pullByJob(site) });
  const plainMs = median(rounds.map((round) => round.plainMs));
  return [
    {
      name: "pull as a job against a plain one",
      unit: "ms",
      value: median(rounds.map(({ jobMs }) => jobMs)),
      floor: plainMs,
      ratio: median(rounds.map((round) => round.jobMs / round.plainMs)),
      target: { of: "ratio", most: 1.1 },
    },
    { name: "plain pull, speed", unit: "MB/s", value: bytes / 1000 / plainMs, target: { of: "value", least: 200 } },
  ];
}

/** @returns ms from the request to `success` */
async function pullPlainly({ ollamaUrl, model }: Site): Promise<number> {
  const startedMs = performance.now();
  const body = JSON.stringify({ model, insecure: true, stream: true });
  const response = await fetch(`${ollamaUrl}/api/pull`, { method: "POST", body });
  const lines = await response.text();
  const tookMs = performance.now() - startedMs;
  if (!lines.includes('"success"')) throw new Error(`Cannot pull ${model} plainly: ${lines.trim().split("\n").at(-1)}`);
  await remove(ollamaUrl, model);
  return tookMs;
}

/** @returns ms from the command to the job's `ended_at` */
async function pullByJob({ ollamaUrl, courier, model }: Site): Promise<number> {
  const startedAtMs = Date.now();
  const { job } = await courier.request(AGENT, { verb: "pull_model", modelName: model });
  const ended = await untilEnded(courier, job?.id ?? "", startedAtMs + LIMIT_MS);
  if (ended.state !== "succeeded") throw new Error(`Cannot pull ${model} as a job: ${ended.error}`);
  await remove(ollamaUrl, model);
  return Date.parse(ended.ended_at ?? "") - startedAtMs;
}

async function untilEnded(courier: Courier, id: string, untilMs: number): Promise<Job> {
  for (;;) {
    const { state } = await courier.agent(AGENT, 0);
    const found = state?.jobs.find((job) => job.id === id);
    if (found !== undefined && isEnded(found)) return found;
    if (Date.now() > untilMs) throw new Error(`Job ${id} did not end: ${JSON.stringify(found)}`);
    await Bun.sleep(POLL_MS);
  }
}

async function remove(ollamaUrl: string, model: string): Promise<void> {
  const response = await fetch(`${ollamaUrl}/api/delete`, { method: "DELETE", body: JSON.stringify({ model }) });
  if (!response.ok) throw new Error(`Cannot delete ${model}: ${await response.text()}`);
}
