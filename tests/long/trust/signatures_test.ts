// Signed commands with real processes: keys, a box that requires signatures, and files that anybody may put on the share.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LegacyBackend } from "#sim/legacy/backend.ts";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { parseRawKey } from "#src/trust/keys.ts";
import { verifyDocument } from "#src/trust/signature.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [2_000_000, 1000] };

let site: ProcessSite;
let ollama: SimulatedOllama;
let agent: Running;
let keys: string;
/** A person who never made a key, and one who made one, by the folder of their settings. */
const settingsOf = (person: "nobody" | "alice"): string => join(site.dir, person);
const before = process.env["XDG_CONFIG_HOME"];

async function gpuctlAs(person: "nobody" | "alice", ...args: readonly string[]) {
  process.env["XDG_CONFIG_HOME"] = settingsOf(person);
  return await site.gpuctl(...args);
}

beforeEach(async () => {
  site = new ProcessSite();
  keys = join(site.dir, "trusted_keys");
  ollama = await site.ollama({ catalog: [PHI], installed: [PHI] });
  writeFileSync(keys, (await gpuctlAs("alice", "key")).stdout);
  agent = await site.agent("gpu-1", ollama.url, ["--trusted-keys", keys]);
});
afterEach(async () => {
  if (before === undefined) delete process.env["XDG_CONFIG_HOME"];
  else process.env["XDG_CONFIG_HOME"] = before;
  await site.close();
});

async function models(): Promise<string> {
  return (await gpuctlAs("nobody", "list", "--fresh", "--json")).stdout;
}

const deletion = {
  version: 2,
  command: "delete_model",
  timestamp: "2026-01-02T03:04:05Z",
  agent: "gpu-1",
  reply_to: "mallory",
  ttl_ms: 60_000,
  model_name: "phi4",
};

test("a file that anybody wrote changes nothing, in either version", async () => {
  mkdirSync(join(site.share, "gpu_status/mallory"));
  site.write("gpu_commands/gpu-1/forged-1.json", { ...deletion, command_id: "forged-1" });
  const answer = await site.document("gpu_status/mallory/forged-1_response.json");
  expect(answer).toMatchObject({ success: false, code: "forbidden" });
  await agent.logged("Serving the shared inbox");
  site.write("gpu_commands/delete_model_1.json", { command: "delete_model", model_name: "phi4" });
  expect(await site.document("gpu_status/delete_model_1_response.json")).toMatchObject({ success: false });
  expect(site.list("gpu_commands")).toEqual(["gpu-1"]);
  expect(await models()).toContain("phi4:latest");
  await until(() => JSON.stringify(site.state("gpu-1")["refused"] ?? "").includes("forged-1"), "the state shows it");
});

test("gpuctl, gpu-server and a legacy backend side by side: who signs changes models, all list them", async () => {
  const stateDir = join(site.dir, "server-1");
  const key = await site.run("server.ts", ["key", "--state-dir", stateDir]);
  appendFileSync(keys, key.stdout);
  const server = await site.server();
  expect(site.stateDirOfServer(server)).toBe(stateDir);
  await agent.logged("Serving the shared inbox");
  const backend = new LegacyBackend(site.share);
  backend.deleteModel("phi4");
  backend.pullModel("phi4");
  const { models: listed, reason } = await backend.listModels();
  expect([reason, JSON.stringify(listed).includes("phi4:latest")]).toEqual(["answered", true]);
  const refused = async (): Promise<string> => (await gpuctlAs("nobody", "jobs")).stderr;
  await until(async () => (await refused()).includes("gpu-1 refused pull_model phi4"), "gpuctl jobs names the pull");
  expect(await refused()).toContain("gpu-1 refused delete_model phi4");
  await until(() => site.list("gpu_commands").every((name) => name === "gpu-1"), "both commands are gone");
  expect(ollama.installed()).toEqual(["phi4:latest"]);

  await until(async () => (await server.call("GET", "/v1/agents/gpu-1/models")).status === 200, "the server sees it");
  expect((await server.call("DELETE", "/v1/agents/gpu-1/models/phi4")).status).toBe(200);
  expect((await gpuctlAs("alice", "pull", "phi4")).status).toBe(0);
  expect(ollama.installed()).toEqual(["phi4:latest"]);
}, 30_000);

test("a command with a byte that is not UTF-8 is refused, and its text never looked at", async () => {
  const text = JSON.stringify({ ...deletion, command_id: "forged-2", requested_by: "x" });
  const bytes = Buffer.from(text).map((byte) => (byte === "x".charCodeAt(0) ? 0xff : byte));
  writeFileSync(join(site.share, "gpu_commands/gpu-1/forged-2.json"), bytes);
  const answer = await site.document("gpu_status/forged-2_response.json");
  expect(answer).toMatchObject({ success: false, code: "invalid", command_id: "forged-2" });
  // Signed, but for no bytes: it was refused unread.
  expect([typeof answer["signature"], answer["request"]]).toEqual(["object", undefined]);
});

test("an agent signs its states with the key that gpu-agent key prints, and counts its starts", async () => {
  const { stdout } = await site.run("agent.ts", ["key", "--name", "gpu-1", "--state-dir", site.stateDirOf("gpu-1")]);
  const [, raw = ""] = stdout.split(" ");
  for (const boot of [1, 2]) {
    await until(() => site.state("gpu-1")["boot"] === boot, `its start ${boot} shows`);
    const text = readFileSync(join(site.share, "gpu_status/gpu-1_status.json"), "utf8");
    expect([site.state("gpu-1")["key"], verifyDocument("state", text, parseRawKey(raw))]).toEqual([raw, "signed"]);
    await agent.stop();
    agent = await site.agent("gpu-1", ollama.url, ["--trusted-keys", keys]);
  }
});

test("an agent that was updated on a full disk has no key: it serves reading verbs, and signs nothing", async () => {
  const prepare = "echo 00000000-0000-4000-8000-000000000000 >instance; dd if=/dev/zero of=full bs=4096 2>/dev/null";
  const full = await site.agentOnSmallDisk("gpu-2", ollama.url, 65_536, prepare);
  expect((await full.logged("ENOSPC: states and responses are not signed"))["hint"]).toContain("restart the agent");
  expect((await gpuctlAs("nobody", "ping", "--agent", "gpu-2")).status).toBe(0);
  expect(site.state("gpu-2")).toMatchObject({ reading_only: true, instance: "00000000-0000-4000-8000-000000000000" });
  expect(site.state("gpu-2")).not.toHaveProperty("signature");
});

test("gpuctl without a key reads, and shows how to get a key for the rest", async () => {
  expect(await models()).toContain("phi4:latest");
  const { status, stderr } = await gpuctlAs("nobody", "rm", "phi4");
  expect([status, stderr.includes("gpuctl key")]).toEqual([77, true]);
  expect(await models()).toContain("phi4:latest");
});

test("gpuctl with a trusted key deletes, and the agent's log names the key and who asked", async () => {
  const { id } = JSON.parse((await gpuctlAs("alice", "key", "--json")).stdout);
  expect((await gpuctlAs("alice", "rm", "phi4")).status).toBe(0);
  expect(await models()).not.toContain("phi4:latest");
  const line = await agent.logged("Command done");
  const requested_by = expect.stringMatching(/^gpuctl:.+@/);
  expect(line).toMatchObject({ command: "delete_model", model: "phi4:latest", key: id, requested_by });
});

test("a key whose line is removed may do nothing more", async () => {
  writeFileSync(keys, "# nobody\n");
  await until(() => site.state("gpu-1")["status"] === "degraded", "the agent has seen it");
  expect(site.state("gpu-1")).toMatchObject({ reading_only: true, requires_signatures: "changing" });
  expect((await gpuctlAs("alice", "rm", "phi4")).status).toBe(69);
  expect(await models()).toContain("phi4:latest");
});
