// The routes of the platform and of its GPU service's clients, as the legacy programs serve them.
import { describe, expect, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const PHI4 = modelOf("phi4:latest");

async function twoAgents(server: ServerUnderTest): Promise<[ScriptedAgent, ScriptedAgent]> {
  return [
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] }),
    await ScriptedAgent.open(server.store, "gpu-2", { models: [modelOf("gemma3:12b")] }),
  ];
}

describe("GET /api/config/models", () => {
  test("answers the models with exactly the original fields, and the active ones", async () => {
    await using server = await openServer();
    const detailed = { ...PHI4, details: { family: "phi3" }, capabilities: ["completion"] };
    await ScriptedAgent.open(server.store, "gpu-1", { models: [detailed] });
    const answer = await server.call("GET", "/api/config/models");
    expect(answer.status).toBe(200);
    expect(answer.body).toStrictEqual({ models: [PHI4], active_models: {} });
  });

  test("answers 503 with the reason when no agent is there, never an empty list", async () => {
    await using server = await openServer();
    const answer = await server.call("GET", "/api/config/models");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(Object.keys(answer.body)).toEqual(["detail"]);
    expect(answer.body.detail).toContain("No agent is online");
  });

  test("answers 503 saying for how long when the only agent has gone silent", async () => {
    let aheadMs = 0;
    const store = new MemoryStore({ ...systemClock, now: () => Date.now() + aheadMs });
    await ScriptedAgent.open(store, "gpu-1", { models: [PHI4] });
    aheadMs = 60_000;
    await using server = await openServer({ store });
    const answer = await server.call("GET", "/api/config/models");
    expect(answer.status).toBe(503);
    expect(answer.body.detail).toMatch(/gpu-1 has been silent for 1 min/);
  });

  test("answers 503 with the reason when Ollama does not answer", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const checked_at = "2026-01-02T03:04:05.678Z";
    await agent.publish({
      ollama_available: false,
      ollama: { reachable: false, version: null, error: "connection refused", checked_at },
    });
    const answer = await server.call("GET", "/api/config/models");
    expect(answer.status).toBe(503);
    expect(answer.body.detail).toContain("connection refused");
  });

  test("answers 503 with the reason while the share was never reached", async () => {
    await using server = await openServer({ reached: false });
    const answer = await server.call("GET", "/api/config/models");
    expect(answer.status).toBe(503);
    expect(answer.body.detail).toContain("The share");
  });

  test("answers one entry per name, the newest, when several agents hold it", async () => {
    await using server = await openServer();
    const newer = modelOf("phi4:latest", { digest: "bd90", modified_at: "2026-03-01T09:30:00Z" });
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    await ScriptedAgent.open(server.store, "gpu-2", { models: [newer] });
    const { body } = await server.call("GET", "/api/config/models");
    expect(body.models).toStrictEqual([newer]);
  });

  test("answers an empty list when the only agent has no models", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("GET", "/api/config/models");
    expect([answer.status, answer.body.models]).toEqual([200, []]);
  });

  test("asks the agent itself when fresh is wanted, and only then", async () => {
    await using server = await openServer();
    const answer = (): { models: (typeof PHI4)[] } => ({ models: [modelOf("brand:new")] });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4], answer });
    expect((await server.call("GET", "/api/config/models")).body.models).toEqual([PHI4]);
    expect(agent.commands).toEqual([]);
    const fresh = await server.call("GET", "/api/config/models?fresh=true");
    expect(fresh.body.models).toEqual([modelOf("brand:new")]);
    expect((await server.call("GET", "/api/config/models?fresh=yes")).status).toBe(400);
  });

  test("answers 504 with the last thing known when an agent does not answer in time", async () => {
    await using server = await openServer({ timeoutMs: 50 });
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4], answer: () => undefined });
    const answer = await server.call("POST", "/api/config/pull-model", { body: { model_name: "phi4" } });
    expect(answer.status).toBe(504);
    expect(answer.body.detail).toContain("withdrawn before gpu-1 answered");
    expect(server.store.inboxes.get("agent gpu-1")?.size).toBe(0);
  });

  test("narrows the list to ?agent=, and answers 404 for an unknown agent", async () => {
    await using server = await openServer();
    await twoAgents(server);
    expect((await server.call("GET", "/api/config/models?agent=gpu-1")).body.models).toEqual([PHI4]);
    const unknown = await server.call("GET", "/api/config/models?agent=gpu-9");
    expect(unknown.status).toBe(404);
    expect(unknown.body.detail).toContain("gpu-1, gpu-2");
    expect((await server.call("GET", "/api/config/models?agent=../x")).status).toBe(400);
  });
});

describe("GET /api/config/available-models", () => {
  test("answers the catalog, also while the share was never reached", async () => {
    await using server = await openServer({ reached: false });
    const answer = await server.call("GET", "/api/config/available-models");
    expect(answer.status).toBe(200);
    expect(answer.body.models.length).toBeGreaterThan(5);
    for (const model of answer.body.models)
      expect(Object.keys(model).toSorted()).toEqual(["description", "name", "size"]);
  });
});

describe("POST /api/config/set-active-model", () => {
  const path = "/api/config/set-active-model";

  test("saves the choice, which the list then shows, when the model is installed", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call("POST", path, { body: { model_name: "phi4", model_type: "vision" } });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body)).toEqual(["message"]);
    const { body } = await server.call("GET", "/api/config/models");
    expect(body.active_models).toEqual({ vision: "phi4:latest" });
  });

  test("asks the agents before it denies a model that no state shows, once in 10 s", async () => {
    await using server = await openServer();
    const [first, second] = await twoAgents(server);
    second.models = [modelOf("Copy:latest")];
    const set = async (model_name: string) =>
      await server.call("POST", path, { body: { model_name, model_type: "text" } });
    expect((await set("copy")).status).toBe(200);
    const { body } = await server.call("GET", "/api/config/models");
    expect(body.active_models).toEqual({ text: "Copy:latest" });
    for (const _ of [1, 2, 3]) expect((await set("none")).status).toBe(404);
    for (const agent of [first, second])
      expect(agent.commands.map(({ command }) => command)).toEqual(["list_models", "list_models"]);
  });

  test("answers 404 when no agent has the model", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call("POST", path, { body: { model_name: "llama3", model_type: "text" } });
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toContain("llama3:latest");
    expect((await server.call("GET", "/api/config/models")).body.active_models).toEqual({});
  });

  test("answers 400 with the field when the type is invalid", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call("POST", path, { body: { model_name: "phi4", model_type: "audio" } });
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toContain("model_type");
  });
});

describe("POST /api/config/pull-model", () => {
  const path = "/api/config/pull-model";

  test("answers a message and the job once the agent holds it", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("POST", path, { body: { model_name: "hf.co/user/Model-GGUF:Q4_K_M" } });
    expect(answer.status).toBe(200);
    expect(answer.body).toStrictEqual({ message: expect.any(String), job: agent.jobs[0] });
    const command = { command: "pull_model", model_name: "hf.co/user/Model-GGUF:Q4_K_M", requested_by: "platform" };
    expect(agent.commands).toMatchObject([command]);
  });

  test("answers 503 and leaves no command behind when nobody is there", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    await agent.publish({ status: "stopped" });
    const answer = await server.call("POST", path, { body: { model_name: "phi4" } });
    expect(answer.status).toBe(503);
    expect(answer.body.detail).toContain("stopped");
    expect(agent.commands).toEqual([]);
    expect(server.store.inboxes.get("agent gpu-1")?.size).toBe(0);
  });

  test("answers 409 naming the agents when it could be any of several", async () => {
    await using server = await openServer();
    const agents = await twoAgents(server);
    const answer = await server.call("POST", path, { body: { model_name: "phi4" } });
    expect(answer.status).toBe(409);
    expect(answer.body.detail).toContain("gpu-1, gpu-2");
    expect(agents.flatMap(({ commands }) => commands)).toEqual([]);
  });

  test("goes to the default agent, or to the one in the query before that", async () => {
    await using server = await openServer({ defaultAgent: "gpu-2" });
    const [first, second] = await twoAgents(server);
    const body = { model_name: "phi4" };
    expect((await server.call("POST", path, { body })).body.job.agent).toBe("gpu-2");
    expect((await server.call("POST", `${path}?agent=gpu-1`, { body })).body.job.agent).toBe("gpu-1");
    expect([first.commands.length, second.commands.length]).toEqual([1, 1]);
  });

  test.each(["../../etc/passwd", "a b", "", "x".repeat(700)])("answers 400 for the name %p", async (model_name) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    expect((await server.call("POST", path, { body: { model_name } })).status).toBe(400);
    expect(agent.commands).toEqual([]);
  });
});

describe("DELETE /api/config/delete-model", () => {
  test("takes the model from the JSON body and answers a message", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call("DELETE", "/api/config/delete-model", { body: { model_name: "phi4:latest" } });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body)).toEqual(["message"]);
    expect(agent.models).toEqual([]);
  });

  test("answers the agent's own refusal with its status", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("DELETE", "/api/config/delete-model", { body: { model_name: "phi4" } });
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toContain("phi4:latest");
  });
});

describe("the GPU service's routes", () => {
  test("GET /api/health answers the original fields when any agent has Ollama", async () => {
    await using server = await openServer();
    const [first] = await twoAgents(server);
    await first.publish({ ollama_available: false });
    const { status, body } = await server.call("GET", "/api/health");
    expect(status).toBe(200);
    expect(body).toStrictEqual({ status: "healthy", ollama_available: true, timestamp: expect.any(String) });
  });

  test("GET /api/health answers 503 with the reason when nobody is there", async () => {
    await using server = await openServer();
    const { status, headers, body } = await server.call("GET", "/api/health");
    expect(status).toBe(503);
    expect(headers.has("retry-after")).toBe(true);
    expect(body).toMatchObject({
      success: false,
      status: "unhealthy",
      ollama_available: false,
      error: "No agent is online",
    });
  });

  test("GET /api/models answers success and the list, or 503 with success false", async () => {
    await using server = await openServer();
    const none = await server.call("GET", "/api/models");
    expect(none.status).toBe(503);
    expect(none.body).toStrictEqual({ success: false, error: expect.stringContaining("No agent is online") });
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    expect((await server.call("GET", "/api/models")).body).toStrictEqual({ success: true, models: [PHI4] });
  });

  test.each([
    ["phi4", "phi4:latest"],
    ["phi4:latest", "phi4:latest"],
    ["phi4%3Alatest", "phi4:latest"],
    ["user/model:tag", "user/model:tag"],
    ["hf.co/user/Model-GGUF:Q4_K_M", "hf.co/user/Model-GGUF:Q4_K_M"],
    ["hf.co%2Fuser%2FModel-GGUF%3AQ4_K_M", "hf.co/user/Model-GGUF:Q4_K_M"],
    ["registry.example:5000/user/m:t", "registry.example:5000/user/m:t"],
  ])("POST and DELETE /api/models/%s mean %s", async (path, name) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf(name)] });
    const pulled = await server.call("POST", `/api/models/${path}`);
    expect(pulled.body).toStrictEqual({ success: true, message: expect.stringContaining(name) });
    const deleted = await server.call("DELETE", `/api/models/${path}`);
    expect(deleted.body).toStrictEqual({ success: true, message: expect.stringContaining(name) });
    expect(agent.commands.map(({ model_name }) => model_name)).toEqual([name, name]);
  });

  test.each(["..%2f..%2fetc", "a%00b", "%zz", "%2e%2e", "a%252Fb"])(
    "POST /api/models/%s answers 400 and reaches no agent",
    async (path) => {
      await using server = await openServer();
      const agent = await ScriptedAgent.open(server.store, "gpu-1");
      const answer = await server.call("POST", `/api/models/${path}`);
      expect([400, 404]).toContain(answer.status);
      expect(answer.body.success).toBe(false);
      expect(agent.commands).toEqual([]);
    },
  );
});
