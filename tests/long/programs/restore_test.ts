// Backup and restore of both state directories, as docs/fleet.md describes it: stop, tar, and untar where nothing is left.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";

let site: ProcessSite;
let id: string;

beforeEach(() => {
  site = new ProcessSite();
});
afterEach(async () => await site.close());

async function tar(...args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await Bun.$`tar ${args}`.nothrow().quiet();
  if (exitCode !== 0) throw new Error(stderr.toString());
}

/** Backs the directory up, loses it, and restores it. */
async function restore(dir: string): Promise<void> {
  const backup = join(site.dir, `${basename(dir)}.tar`);
  await tar("-C", dirname(dir), "-cf", backup, basename(dir));
  rmSync(dir, { recursive: true });
  await tar("-C", dirname(dir), "-xpf", backup);
}

/** A server that has pulled a model, confirmed the key of its agent and set an active model. */
async function serverWithHistory(): Promise<HttpServer> {
  const server = await site.server();
  const { answer } = await server.call("POST", "/v1/jobs", { kind: "pull", model: "all-minilm", agents: ["gpu-1"] });
  const jobs: unknown = answer["jobs"];
  id = Array.isArray(jobs) ? String(jobs[0].id) : "none";
  const ended = async () => (await server.call("GET", `/v1/jobs/${id}`)).answer["state"] === "succeeded";
  await until(ended, "the pull has succeeded");
  const trusted = await server.call("POST", "/v1/agents/gpu-1/trust", {});
  const active = { model_type: "text", model_name: "all-minilm" };
  const set = await server.call("POST", "/api/config/set-active-model", active);
  expect([trusted.status, set.status]).toEqual([200, 200]);
  return server;
}

async function seenBy(server: HttpServer) {
  const { answer } = await server.call("GET", "/v1/agents/gpu-1");
  const job = await server.call("GET", `/v1/jobs/${id}`);
  const models = await server.call("GET", "/api/config/models");
  const { status, key_status, key_id } = answer;
  return { status, key_status, key_id, job: job.answer, active: models.answer["active_models"] };
}

test("a restored server knows its tokens, the ends of jobs, the agents' keys and the active models", async () => {
  await site.agent("gpu-1", (await site.ollama()).url);
  const server = await serverWithHistory();
  const before = await seenBy(server);
  expect(before).toMatchObject({ status: "online", key_status: "confirmed", job: { id, state: "succeeded" } });
  expect(before.active).toEqual({ text: "all-minilm:latest" });
  await server.process.stop();
  await restore(site.stateDirOfServer(server));
  const restored = await site.restart(server);
  await until(async () => Bun.deepEquals(await seenBy(restored), before), "all is as before");
});

test("a restored agent is the same agent to those who know its key, and one without its state directory is not", async () => {
  const ollama = await site.ollama();
  let agent = await site.agent("gpu-1", ollama.url);
  const server = await serverWithHistory();
  const before = await seenBy(server);
  await agent.stop();
  await restore(site.stateDirOf("gpu-1"));
  agent = await site.agent("gpu-1", ollama.url);
  // It is online before it has asked its Ollama.
  await until(async () => Bun.deepEquals(await seenBy(server), before), "all is as before");
  await agent.stop();
  rmSync(site.stateDirOf("gpu-1"), { recursive: true });
  await site.agent("gpu-1", ollama.url);
  await until(async () => (await seenBy(server)).key_status === "conflict", "it has another key");
}, 60_000);
