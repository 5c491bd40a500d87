// End to end with real processes: version 1 files, HTTP and gpuctl → share → gpu-agent → Ollama → back.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { LegacyBackend } from "#sim/legacy/backend.ts";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [2_000_000, 1000] };
const TINY = { name: "tiny:latest", layers: [3_000_000, 500] };
const catalog = [PHI, TINY];

/** It looks at the states a few times a second. */
async function seesModels(server: HttpServer): Promise<void> {
  const isSeen = async (): Promise<boolean> => (await server.call("GET", "/api/config/models")).status === 200;
  await until(isSeen, "the server sees the agent's models");
}

describe("one agent", () => {
  let site: ProcessSite;
  let ollama: SimulatedOllama;
  let server: HttpServer;

  beforeAll(async () => {
    site = new ProcessSite();
    ollama = await site.ollama({ catalog, installed: [PHI], bytesPerSecond: 10_000_000 });
    [, server] = await Promise.all([site.agent("gpu-1", ollama.url), site.server()]);
  });
  // Also after a test that stopped something.
  beforeEach(async () => await seesModels(server));
  afterAll(async () => await site.close());

  test("gpuctl lists, pulls with progress, and deletes", async () => {
    const listed = await site.gpuctl("list", "--json");
    expect(JSON.parse(listed.stdout)).toMatchObject({ models: [{ name: "phi4:latest", agents: ["gpu-1"] }] });
    const pulled = await site.gpuctl("pull", "tiny", "--json");
    expect(pulled.status).toBe(0);
    const jobs = pulled.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(jobs.at(-1)).toMatchObject({ agent: "gpu-1", model: "tiny:latest", state: "succeeded", code: null });
    expect(jobs.some(({ state }) => state === "running" || state === "queued")).toBe(true);
    expect((await site.gpuctl("list")).stdout).toContain("tiny:latest");
    expect((await site.gpuctl("rm", "tiny")).status).toBe(0);
    const again = await site.gpuctl("rm", "tiny", "--json");
    expect(again.status).toBe(66);
    expect((await site.gpuctl("list")).stdout).not.toContain("tiny:latest");
  });

  test("the platform lists, pulls and deletes over HTTP", async () => {
    const names = async (): Promise<string> =>
      JSON.stringify((await server.call("GET", "/api/config/models")).answer["models"]);
    await until(async () => !(await names()).includes("tiny"), "the server sees what gpuctl has just deleted");
    const { status, answer } = await server.call("GET", "/api/config/models");
    expect(status).toBe(200);
    expect(answer).toMatchObject({ models: [{ name: "phi4:latest" }], active_models: {} });
    const pulled = await server.call("POST", "/api/config/pull-model", { model_name: "tiny" });
    expect(pulled).toMatchObject({ status: 200, answer: { job: { model: "tiny:latest" } } });
    await until(async () => (await names()).includes("tiny:latest"), "the pulled model is listed");
    const deleted = await server.call("DELETE", "/api/config/delete-model", { model_name: "tiny" });
    expect(deleted.status).toBe(200);
    expect(await names()).not.toContain("tiny:latest");
  });

  test("the platform's routes need a gp token", async () => {
    expect((await server.call("GET", "/api/config/models", undefined, null)).status).toBe(401);
    expect((await server.call("GET", "/api/config/models", undefined, "viewer")).status).toBe(403);
    expect((await server.call("GET", "/v1/models", undefined, "viewer")).status).toBe(200);
    expect((await server.call("DELETE", "/v1/agents/gpu-1/models/phi4", undefined, "viewer")).status).toBe(403);
    expect((await server.call("GET", "/v1/agents/gpu-9", undefined, "viewer")).status).toBe(404);
  });

  test("a manual test_command.json is answered twice in a row and its file stays", async () => {
    const command = { command: "list_models", timestamp: "2025-07-15T17:00:00", command_id: "test_command" };
    for (let time = 1; time <= 2; time++) {
      const before = time === 1 ? {} : await site.document("gpu_status/test_command_response.json");
      site.write("gpu_commands/test_command.json", command);
      const answer = await until(async () => {
        const document = await site.document("gpu_status/test_command_response.json");
        return document["timestamp"] === before["timestamp"] ? undefined : document;
      }, `answer ${time} is there`);
      expect(answer).toMatchObject({ success: true, models: [{ name: "phi4:latest" }] });
      expect(site.list("gpu_commands")).toContain("test_command.json");
    }
  });

  test("a legacy backend gets each of its lists, and its pulls and deletes leave no file behind", async () => {
    const backend = new LegacyBackend(site.share);
    expect((await backend.isAlive()).online).toBe(true);
    backend.pullModel("tiny");
    for (let list = 1; list <= 2; list++) {
      const { models, reason, polls } = await backend.listModels();
      expect([reason, models.length > 0]).toEqual(["answered", true]);
      // It polls at once, then every second.
      expect(polls).toBeLessThanOrEqual(2);
    }
    await until(() => ollama.installed().includes("tiny:latest"), "the model is pulled");
    backend.deleteModel("tiny");
    await until(() => !ollama.installed().includes("tiny:latest"), "the model is deleted");
    const left = (): string[] => site.list("gpu_commands").filter((name) => /^(pull|delete|list)_/.test(name));
    await until(() => left().length === 0, "no command is left");
  }, 30_000);

  test("bad input on the share is answered under its id, and the agent keeps running", async () => {
    const bad: [string, string | object, string][] = [
      ["not_json", "hello", "is not complete JSON"],
      ["array", "[1, 2]", "not a JSON object"],
      ["unknown", { command: "fly", command_id: "unknown" }, "Unknown command: fly"],
      ["no_model", { command: "pull_model", command_id: "no_model" }, "Model name is required"],
      ["path", { command: "delete_model", model_name: "../../etc/passwd" }, "Cannot use"],
      ["long", { command: "delete_model", model_name: "m".repeat(300) }, "Cannot use"],
      ["control", { command: "delete_model", model_name: "a\u0007b" }, "Cannot use"],
      ["slash", { command: "list_models", command_id: "../../x" }, "Invalid command_id"],
      ["big", `{"command": "${"x".repeat(10_000_000)}"}`, ""],
      ["dialect", { command: "ping", version: 2, command_id: "dialect" }, "version 1 only"],
    ];
    for (const [id, content] of bad) site.write(`gpu_commands/${id}.json`, content);
    for (const [id, , error] of bad) {
      const answer = await site.document(`gpu_status/${id}_response.json`);
      expect(answer["success"]).toBe(false);
      expect(String(answer["error"])).toContain(error);
    }
    expect((await site.gpuctl("ping")).status).toBe(0);
  }, 30_000);

  test("a half-written command completed a second later is answered properly", async () => {
    const text = '{"command": "list_models", "command_id": "half"}';
    const file = join(site.share, "gpu_commands/half.json");
    writeFileSync(file, text.slice(0, 20));
    await Bun.sleep(1000);
    writeFileSync(file, text.slice(20), { flag: "a" });
    expect(await site.document("gpu_status/half_response.json")).toMatchObject({ success: true });
  });

  test("an unreachable Ollama is reported everywhere, and so is its return", async () => {
    await ollama.refuse();
    const fresh = await server.call("GET", "/api/config/models?fresh=true");
    expect(fresh.status).toBe(503);
    expect(String(fresh.answer["detail"])).toContain("Ollama");
    const listed = await site.gpuctl("list", "--fresh", "--json");
    expect(listed.status).toBe(69);
    expect(JSON.parse(listed.stderr)).toMatchObject({ error: { code: "unavailable" } });
    await until(() => site.state("gpu-1")["ollama_available"] === false, "the state shows it");
    ollama.accept();
    await until(() => site.state("gpu-1")["ollama_available"] === true, "it is noticed");
  }, 30_000);

  test("a second server on the same port refuses to start", async () => {
    const own = ["--share", site.share, "--state-dir", `${site.dir}/second-server`];
    const second = site.start("server.ts", [...own, "--port", new URL(server.url).port]);
    expect(await second.exited()).toBe(73);
    expect(second.log).toContain("the port is already in use");
  });

  test("a second agent on the same state directory refuses to start", async () => {
    const second = site.startAgent("gpu-1", ollama.url);
    expect(await second.exited()).toBe(73);
    expect(second.log).toContain("another agent is using");
  });
});

test("SIGTERM drains the agent, leaves `stopped` in its state for all readers, and leaves nothing else behind", async () => {
  const site = new ProcessSite();
  try {
    const ollama = await site.ollama({ catalog, installed: [PHI] });
    const [agent, server] = await Promise.all([site.agent("gpu-1", ollama.url), site.server()]);
    await seesModels(server);
    expect((await server.call("GET", "/api/config/models?fresh=true")).status).toBe(200);
    expect((await site.gpuctl("ping")).status).toBe(0);
    const startedMs = performance.now();
    expect(await agent.stop()).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(site.state("gpu-1")["status"]).toBe("stopped");
    // The server looks at the documents a few times a second.
    await until(async () => (await server.call("GET", "/api/config/models")).status === 503, "the server sees it");
    const { answer } = await server.call("GET", "/api/config/models");
    expect(String(answer["detail"])).toContain("gpu-1 stopped");
    expect((await site.gpuctl("list")).status).toBe(69);
    expect((await site.gpuctl("agents")).stdout).toContain("stopped");
    expect(await server.process.stop()).toBe(0);
    expect(site.list("gpu_status")).toEqual(["gpu-1_status.json"]);
    expect(site.list("gpu_commands")).toEqual(["gpu-1"]);
    expect(site.list("gpu_commands/gpu-1")).toEqual([]);
  } finally {
    await site.close();
  }
});
