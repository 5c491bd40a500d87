// A pull as a job against a plain `POST /api/pull` of the same model at the same Ollama, in alternating pairs.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { Ollama } from "#src/agent/ollama/ollama.ts";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { openTransport } from "#src/transport/open.ts";
import { ROOT } from "../binaries.ts";
import { Child } from "../children.ts";
import { median } from "./measure.ts";
import type { Measure } from "./report.ts";
import { AGENT, agentCommand } from "./subject.ts";

export interface PullEffort {
  readonly bytes: number;
  readonly pairs: number;
}

/** The target is 1.03; what a busy machine adds at random must not fail the run. */
const GATE = 1.1;

/** Ollama fetches 15 parts of 1.5 GB at a time: over 200 MB/s, so that a connection closed on the way costs what it does in the field. */
const PART_BYTES_PER_SECOND = 18_000_000;

interface Peer {
  readonly url: string;
  readonly modelsDir: string;
  stop(): Promise<void>;
}

/** @param dir is made, and stays */
export async function measurePull(dir: string, { bytes, pairs }: PullEffort): Promise<Measure[]> {
  mkdirSync(join(dir, "share"), { recursive: true });
  const registry = await Registry.start();
  const model = registry.offer("bench", { layers: [bytes], bytesPerSecond: PART_BYTES_PER_SECOND });
  const peer = await startPeer(dir);
  const settings = ["--ollama-models", peer.modelsDir, "--insecure-registry", registry.host];
  const agent = new Child([...(await agentCommand(dir, peer.url)), ...settings], dir);
  await agent.line("Ready");
  const ollama = new Ollama({ url: peer.url });
  const transport = openTransport(join(dir, "share"), {
    create: "never",
    watch: "auto",
    clock: systemClock,
    log: silentLog,
  });
  await transport.connect();
  const courier = new Courier(transport, { sender: "bench", timeoutMs: 10_000 });
  const times: { plain: number; job: number }[] = [];
  const timed = async (pull: () => Promise<number>): Promise<number> => {
    const tookMs = await pull();
    await ollama.deleteModel(model);
    return tookMs;
  };
  for (let pair = 0; pair <= pairs; pair++) {
    const plain = await timed(async () => await plainPull(peer.url, model));
    const job = await timed(async () => await jobPull(courier, model));
    // The first pair runs code that has never run before.
    if (pair > 0) times.push({ plain, job });
  }
  await courier.close();
  await transport.close();
  await agent.stop();
  await peer.stop();
  await registry.stop();
  return [measureOf(times, bytes)];
}

function measureOf(times: readonly { plain: number; job: number }[], bytes: number): Measure {
  return {
    name: `pull of ${bytes / 1e6} MB as a job, against plain`,
    unit: "ms",
    value: median(times.map(({ job }) => job)),
    floor: median(times.map(({ plain }) => plain)),
    ratio: median(times.map(({ plain, job }) => job / plain)),
    target: { of: "ratio", most: GATE },
  };
}

async function plainPull(url: string, model: string): Promise<number> {
  const beganAtMs = Date.now();
  const body = JSON.stringify({ model, insecure: true });
  const response = await fetch(`${url}/api/pull`, { method: "POST", body });
  const lines = await response.text();
  if (!lines.includes('"success"')) throw new Error(`The plain pull failed: ${lines.slice(-200)}`);
  return Date.now() - beganAtMs;
}

/** From the command to the job's own end, which is by the clock of this machine. */
async function jobPull(courier: Courier, model: string): Promise<number> {
  const beganAtMs = Date.now();
  let job = await courier.pullModel(AGENT, model);
  for await (const next of courier.followJob(AGENT, job.id ?? "")) job = next;
  if (job.state !== "succeeded") throw new Error(`The pull has ${job.state}: ${job.error}`);
  return Date.parse(job.ended_at ?? "") - beganAtMs;
}

/** The real Ollama that OLLAMA_TEST_URL names, with its models in OLLAMA_TEST_MODELS; else the simulated one. */
async function startPeer(dir: string): Promise<Peer> {
  const url = process.env["OLLAMA_TEST_URL"];
  if (url !== undefined) {
    const stop = async (): Promise<void> => await Promise.resolve();
    return { url, modelsDir: process.env["OLLAMA_TEST_MODELS"] ?? "", stop };
  }
  const modelsDir = join(dir, "models");
  const child = new Child([process.execPath, join(ROOT, "sim/ollama/main.ts"), "--models", modelsDir], dir);
  const announced = await child.line('"url"');
  return { url: String(announced["url"]), modelsDir, stop: async () => await child.stop() };
}
