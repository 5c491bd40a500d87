// The agents' keys with real processes: forged states and responses, a box that is replaced, and a restart of gpu-server.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { type HttpServer, ProcessSite, type Running, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [2_000_000, 1000] };
/** The agent publishes every 5 s: a forged document is in place for most of this time. */
const FORGING_MS = 4_000;

let site: ProcessSite;
let ollama: SimulatedOllama;
let agent: Running;
let server: HttpServer;

beforeEach(async () => {
  site = new ProcessSite();
  ollama = await site.ollama({ catalog: [PHI], installed: [PHI] });
  [agent, server] = await Promise.all([site.agent("gpu-1", ollama.url), site.server()]);
  await until(async () => (await keyStatus()) === "first use", "the server knows the agent's key");
  await until(async () => (await listed()).includes("phi4"), "the server sees the agent's models");
});
afterEach(async () => await site.close());

async function keyStatus(): Promise<unknown> {
  return (await server.call("GET", "/v1/agents/gpu-1")).answer["key_status"];
}

async function listed(): Promise<string> {
  return JSON.stringify((await server.call("GET", "/v1/models")).answer);
}

/** As somebody does who can write to the share: a live agent without models, of the previous release. */
function forgeState(): void {
  const { key: _key, boot: _boot, signature: _signature, ...state } = site.state("gpu-1");
  const forged = { ...state, models: [], model_count: 0, sequence: Date.now(), timestamp: new Date().toISOString() };
  site.write("gpu_status/gpu-1_status.json", forged);
}

test("a forged state under a live agent's name for a while leaves all lists right, and doctor names it", async () => {
  expect((await site.gpuctl("list")).stdout).toContain("phi4:latest");
  const endMs = performance.now() + FORGING_MS;
  const answers: string[] = [];
  while (performance.now() < endMs) {
    forgeState();
    answers.push(await listed());
    await Bun.sleep(100);
  }
  expect(answers.filter((answer) => !answer.includes("phi4"))).toEqual([]);
  expect((await server.call("GET", "/v1/agents/gpu-1")).answer).toMatchObject({ status: "online" });
  await server.process.logged("A state document does not count");
  // The agent looks at its own document too, and publishes it again: doctor must not see that one only.
  const forging = setInterval(forgeState, 5);
  const doctor = await site.gpuctl("doctor");
  clearInterval(forging);
  expect([doctor.status, doctor.stdout]).toEqual([1, expect.stringContaining("✗ agent_keys gpu-1: ")]);
  forgeState();
  expect((await site.gpuctl("list")).stdout).toContain("phi4:latest");
}, 60_000);

test("a box that was replaced is a conflict until somebody trusts it, also over a restart of gpu-server", async () => {
  await site.gpuctl("agents");
  await agent.stop();
  agent = await site.agent("gpu-1", ollama.url, ["--state-dir", join(site.dir, "another box")]);
  await until(async () => (await keyStatus()) === "conflict", "the server shows the conflict");
  server = await site.restart(server);
  await until(async () => (await keyStatus()) === "conflict", "the server shows the conflict after its restart");
  expect((await site.gpuctl("agents")).stdout).toContain("conflict");
  const pinged = await site.gpuctl("ping", "--agent", "gpu-1");
  expect([pinged.status, pinged.stderr]).toEqual([73, expect.stringContaining("gpuctl trust gpu-1")]);
  expect((await site.gpuctl("doctor")).stdout).toContain("✗ agent_keys gpu-1: Conflict: ");
  const { stdout: line } = await site.run("agent.ts", ["key", "--state-dir", join(site.dir, "another box")]);
  expect((await site.gpuctl("trust", "gpu-1")).status).toBe(73);
  expect((await site.gpuctl("trust", "gpu-1", ...line.trim().split(" "))).stdout).toContain(", before ");
  expect((await site.gpuctl("ping", "--agent", "gpu-1")).status).toBe(0);
  const stateDir = ["--state-dir", site.stateDirOfServer(server)];
  const trusted = await site.run("server.ts", ["trust", "gpu-1", ...line.trim().split(" "), ...stateDir]);
  expect(trusted).toMatchObject({ status: 0, stdout: expect.stringContaining(", before ") });
  await until(async () => (await keyStatus()) === "confirmed", "the running server takes it over");
  await until(async () => (await listed()).includes("phi4"), "the server lists its models again");
}, 60_000);

test("gpu-server trust without a key confirms the known one", async () => {
  const stateDir = ["--state-dir", site.stateDirOfServer(server), "--share", site.share];
  expect((await site.run("server.ts", ["trust", "gpu-1", ...stateDir])).status).toBe(0);
  expect((await site.run("server.ts", ["trust", ...stateDir])).stdout).toMatch(/^gpu-1 +[0-9a-f]{16} {2}confirmed\n$/);
  await until(async () => (await keyStatus()) === "confirmed", "the running server takes it over");
});

test("a forged response does not reach the caller: the real one does", async () => {
  await site.gpuctl("agents");
  process.kill(agent.pid, "SIGSTOP");
  const listing = site.gpuctl("list", "--fresh", "--json");
  const inbox = join(site.share, "gpu_commands/gpu-1");
  const id = await until(
    () =>
      readdirSync(inbox)
        .find((name) => name.endsWith(".json"))
        ?.replace(".json", ""),
    "it is sent",
  );
  const command = await site.document(`gpu_commands/gpu-1/${id}.json`);
  const forged = { success: true, version: 2, command_id: id, agent: "gpu-1", timestamp: "", models: [] };
  const folder = join(site.share, "gpu_status", String(command["reply_to"]));
  writeFileSync(join(folder, `${id}_response.json`), JSON.stringify(forged));
  // Far longer than gpuctl would need to take it.
  await Bun.sleep(1_500);
  expect(existsSync(join(folder, `${id}_response.json`))).toBe(true);
  process.kill(agent.pid, "SIGCONT");
  expect(JSON.parse((await listing).stdout)).toMatchObject({ models: [{ name: "phi4:latest" }] });
}, 60_000);
