// The routes of the model verbs: show, copy, unload, running models, and cancel of a job.
import { describe, expect, test } from "bun:test";
import { ShownDocument } from "#src/documents/models.ts";
import { CopiedDocument, UnloadedDocument } from "#src/documents/outcomes.ts";
import { LoadedDocument, RunningDocument } from "#src/documents/running.ts";
import { newPull, type RunningModel } from "#src/protocol.ts";
import { answerAsAgent, modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const PHI4 = modelOf("phi4:latest");
const IN_MEMORY: RunningModel = {
  name: "phi4:latest",
  size: 10e9,
  size_vram: 4e9,
  expires_at: "2026-03-01T10:05:00+01:00",
};
const MODEL = "/v1/agents/gpu-1/models/phi4";

describe("GET /v1/agents/{agent}/models/{model}", () => {
  test("answers what the list has, and why no more, when the agent cannot say", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", {
      models: [PHI4],
      answer: () => ({ success: false, code: "unimplemented", error: "gpu-1 has no show_model" }),
    });
    const answer = await server.call("GET", MODEL);
    expect(answer.status).toBe(200);
    expect(ShownDocument.parse(answer.body)).toMatchObject({
      name: "phi4:latest",
      show: null,
      unavailable: [{ agent: "gpu-1", code: "unimplemented", reason: "gpu-1 has no show_model" }],
    });
  });

  test("answers 404 when it is gone although the list has it", async () => {
    await using server = await openServer();
    const gone = { success: false, code: "not_found", error: "Gone" } as const;
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4], answer: () => gone });
    expect((await server.call("GET", MODEL)).status).toBe(404);
  });
});

describe("GET /v1/agents/{agent}/running", () => {
  test("answers the state's list, and the agent's own word when it must be fresh", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    agent.running = [IN_MEMORY];
    const stale = await server.call("GET", "/v1/agents/gpu-1/running");
    expect([stale.status, stale.body]).toEqual([200, { running: [] }]);
    const fresh = await server.call("GET", "/v1/agents/gpu-1/running?fresh=true");
    expect(RunningDocument.parse(fresh.body)).toEqual({ running: [{ agent: "gpu-1", ...IN_MEMORY }] });
    expect(agent.commands.map(({ command }) => command)).toEqual(["list_running"]);
  });

  test("answers 503 when the agent is away", async () => {
    await using server = await openServer();
    await (await ScriptedAgent.open(server.store, "gpu-1")).publish({ status: "stopped" });
    expect((await server.call("GET", "/v1/agents/gpu-1/running")).status).toBe(503);
  });

  test("with last_known answers what the agent published last, and why, also for its models", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    agent.running = [IN_MEMORY];
    await agent.publish({ status: "stopped" });
    const why = [{ agent: "gpu-1", code: "unavailable", reason: expect.stringContaining("As last seen at ") }];
    const running = await server.call("GET", "/v1/agents/gpu-1/running?last_known=true");
    expect(running.body).toMatchObject({ running: [{ name: "phi4:latest" }], unavailable: why });
    const models = await server.call("GET", "/v1/agents/gpu-1/models?last_known=true");
    expect(models.body).toMatchObject({ models: [{ name: "phi4:latest" }], unavailable: why });
    expect((await server.call("GET", "/v1/agents/gpu-1/models")).status).toBe(503);
  });
});

describe("POST load", () => {
  test("loads a model for as long as the body says, or as Ollama is set", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const loaded = await server.call("POST", `${MODEL}/load`, { body: { keep_alive: "10m" } });
    expect([loaded.status, LoadedDocument.parse(loaded.body).agents]).toEqual([
      200,
      [{ agent: "gpu-1", model: "phi4:latest", code: null, error: null, message: "Loaded phi4:latest" }],
    ]);
    expect(agent.running.map(({ name }) => name)).toEqual(["phi4:latest"]);
    for (const body of [undefined, {}, { keep_alive: null }])
      expect((await server.call("POST", `${MODEL}/load`, body === undefined ? {} : { body })).status).toBe(200);
    const given = [{ keep_alive: 600 }, undefined, undefined, undefined];
    expect(agent.commands.map(({ arguments: sent }) => sent)).toEqual(given);
  });

  test.each([
    [{ keep_alive: 0 }],
    [{ keep_alive: "0s" }],
    [{ keep_alive: "soon" }],
    [{ keep_alive: [] }],
    [{ keep: 1 }],
  ])("refuses %j, and sends nothing", async (body) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const refused = await server.call("POST", `${MODEL}/load`, { body });
    expect([refused.status, refused.body.code]).toEqual([400, "invalid"]);
    expect(agent.commands).toEqual([]);
  });

  test("refuses a body that is not JSON", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const form = { body: "keep_alive=10m", headers: { "content-type": "application/x-www-form-urlencoded" } };
    expect((await server.request("POST", `${MODEL}/load`, form)).status).toBe(415);
  });
});

describe("POST copy and unload", () => {
  test("give a model a second name, and take it out of memory", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    agent.running = [IN_MEMORY];
    const copied = await server.call("POST", `${MODEL}/copy`, { body: { destination: "mine" } });
    expect([copied.status, CopiedDocument.parse(copied.body).agents]).toEqual([
      200,
      [{ agent: "gpu-1", model: "phi4:latest", destination: "mine:latest", code: null, error: null }],
    ]);
    expect(agent.models.map(({ name }) => name)).toEqual(["phi4:latest", "mine:latest"]);
    const unloaded = await server.call("POST", `${MODEL}/unload`);
    expect(UnloadedDocument.parse(unloaded.body).agents).toEqual([
      { agent: "gpu-1", model: "phi4:latest", code: null, error: null, message: "Unloaded phi4:latest" },
    ]);
    expect(agent.running).toEqual([]);
  });

  test.each([
    ["the model is not there", "nothing", { destination: "mine" }, 404],
    ["the second name is invalid", "phi4", { destination: "a b" }, 400],
    ["no second name is given", "phi4", {}, 400],
  ])("copy fails when %s", async (_, model, body, status) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    expect((await server.call("POST", `/v1/agents/gpu-1/models/${model}/copy`, { body })).status).toBe(status);
    expect(agent.models).toEqual([PHI4]);
  });

  test("are refused to a viewer", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    for (const path of [`${MODEL}/copy`, `${MODEL}/load`, `${MODEL}/unload`, "/v1/jobs/some/cancel"])
      expect((await server.call("POST", path, { token: server.viewer, body: {} })).status).toBe(403);
    expect(agent.commands).toEqual([]);
  });
});

describe("GET /v1/jobs/{id} and POST cancel", () => {
  test("find a job that ended long ago by asking the agents", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const agent = await ScriptedAgent.open(server.store, "gpu-2");
    const id = Bun.randomUUIDv7();
    agent.oldJobs = [{ ...newPull(id, "gpu-2", "phi4:latest"), state: "succeeded" }];
    const answer = await server.call("GET", `/v1/jobs/${id}`);
    expect([answer.status, answer.body]).toEqual([200, agent.oldJobs[0]]);
    const unknown = await server.call("GET", `/v1/jobs/${Bun.randomUUIDv7()}`);
    expect([unknown.status, unknown.body.code]).toEqual([404, "not_found"]);
  });

  test("name the agents that could not be asked", async () => {
    await using server = await openServer();
    const answer = () => ({ success: false, code: "unimplemented", error: "No" }) as const;
    await ScriptedAgent.open(server.store, "gpu-1", { answer });
    const { body } = await server.call("GET", `/v1/jobs/${Bun.randomUUIDv7()}`);
    expect(body.detail).toEndWith("could not ask gpu-1");
  });

  test("cancel what is under way, once", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    agent.jobs = [{ ...newPull("job-1", "gpu-1", "phi4:latest"), state: "running", completed_bytes: 7 }];
    await agent.publish();
    for (const _ of [1, 2]) {
      const answer = await server.call("POST", "/v1/jobs/job-1/cancel");
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ id: "job-1", state: "cancelled", code: "cancelled", partial_bytes: 7 });
    }
    expect(agent.commands.map(({ command }) => command)).toEqual(["cancel_job"]);
    expect(agent.commands[0]?.arguments).toEqual({ job_id: "job-1" });
  });

  test("answer 404 for a job that nobody knows, and 409 for one that has ended otherwise", async () => {
    await using server = await openServer();
    const refuse = () => ({ success: false, code: "exhausted", error: "Disk full" }) as const;
    await ScriptedAgent.open(server.store, "gpu-1", {
      answer: (command, agent) => (command.command === "pull_model" ? refuse() : answerAsAgent(command, agent)),
    });
    expect((await server.call("POST", "/v1/jobs/nothing/cancel")).status).toBe(404);
    const body = { kind: "pull", model: "phi4", agents: "all" };
    const [job] = (await server.call("POST", "/v1/jobs", { body })).body.jobs;
    const answer = await server.call("POST", `/v1/jobs/${job.id}/cancel`);
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      "Cannot cancel the pull of phi4:latest: it has already failed",
    ]);
  });

  test("a pull for all names the agents that are away", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    await (await ScriptedAgent.open(server.store, "gpu-2")).publish({ status: "stopped" });
    const body = { kind: "pull", model: "phi4", agents: "all" };
    const { jobs } = (await server.call("POST", "/v1/jobs", { body })).body;
    expect(jobs).toMatchObject([
      { agent: "gpu-1", state: "queued", code: null },
      { agent: "gpu-2", state: "failed", code: "unavailable" },
    ]);
  });
});
