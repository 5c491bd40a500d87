// The server's own routes under /v1: documents, problem documents, jobs, and the share failing later.

import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { AgentsDocument } from "#src/documents/agents.ts";
import { JobsDocument } from "#src/documents/jobs.ts";
import { ModelsDocument, ShownDocument } from "#src/documents/models.ts";
import { DeletedDocument } from "#src/documents/outcomes.ts";
import type { Response } from "#src/protocol.ts";
import { answerAsAgent, modelOf, ScriptedAgent, SHOWN } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

const PHI4 = modelOf("phi4:latest");
const refuse = (): Partial<Response> => ({
  success: false,
  code: "exhausted",
  error: "9.1 GB needed, 4.0 GB free",
  hint: "Remove a model",
});

describe("/v1/agents", () => {
  test("answers an empty list when no agent is there", async () => {
    await using server = await openServer();
    const answer = await server.call("GET", "/v1/agents");
    expect([answer.status, answer.body]).toEqual([200, { agents: [] }]);
  });

  test("answers a summary of each agent, and one agent under its name", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const stopped = await ScriptedAgent.open(server.store, "gpu-2");
    await stopped.publish({ status: "stopped" });
    const { body } = await server.call("GET", "/v1/agents");
    expect(AgentsDocument.strict().parse(body).agents).toMatchObject([
      { agent: "gpu-1", status: "online", reason: null, model_count: 1, agent_version: "0.1.0" },
      { agent: "gpu-2", status: "offline", reason: "stopped" },
    ]);
    expect((await server.call("GET", "/v1/agents/gpu-2")).body).toEqual(body.agents[1]);
  });

  test("answers a problem document with the known agents when the name is unknown", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("GET", "/v1/agents/gpu-9");
    expect(answer.status).toBe(404);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toStrictEqual({
      type: "urn:gpu-courier:not_found",
      title: expect.any(String),
      status: 404,
      detail: 'Unknown agent "gpu-9"',
      code: "not_found",
      hint: "Known agents: gpu-1",
    });
  });

  test("answers what was last seen, all offline, when the share fails later", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const [before] = (await server.call("GET", "/v1/agents")).body.agents;
    server.store.interrupt(new CourierError("unavailable", "The share stalled"));
    const { status, body } = await server.call("GET", "/v1/agents");
    expect(status).toBe(200);
    expect(body.agents).toEqual([{ ...before, status: "offline", reason: "share_stale" }]);
    const models = ModelsDocument.parse((await server.call("GET", "/v1/models")).body);
    expect(models.models).toEqual([{ ...PHI4, agents: ["gpu-1"] }]);
    expect(models.unavailable).toMatchObject([{ agent: "gpu-1", code: "unavailable" }]);
    expect((await server.call("GET", "/v1/jobs")).body.unavailable).toHaveLength(1);
    expect((await server.call("GET", "/readyz")).status).toBe(503);
    expect((await server.call("GET", "/healthz")).status).toBe(200);
    expect((await server.call("GET", "/api/config/models")).status).toBe(503);
  });

  test("names the lists that the state had cut when the share fails later", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    await agent.publish({ truncated: ["models", "jobs"], models: [] });
    const whole = await server.call("GET", "/v1/models");
    expect([whole.body.models.length, whole.body.unavailable]).toEqual([1, undefined]);
    await agent.publish({ truncated: ["models", "jobs"], models: [] });
    server.store.interrupt(new CourierError("unavailable", "The share stalled"));
    const { unavailable } = (await server.call("GET", "/v1/models")).body;
    expect(unavailable[0].reason).toContain("without its whole list of models and jobs");
  });

  test("answers 503 while the share was never reached", async () => {
    await using server = await openServer({ reached: false });
    for (const path of ["/v1/agents", "/v1/models", "/v1/jobs", "/readyz"]) {
      const answer = await server.call("GET", path);
      expect(answer.status).toBe(503);
      expect(answer.body).toMatchObject({ code: "unavailable", detail: expect.stringContaining("share") });
      expect(answer.headers.has("retry-after")).toBe(true);
    }
  });
});

describe("/v1/models", () => {
  test("merges the fleet: one entry per name and digest, and names the offline agents", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    await ScriptedAgent.open(server.store, "gpu-2", { models: [PHI4, modelOf("phi4:latest", { digest: "other" })] });
    const away = await ScriptedAgent.open(server.store, "gpu-3");
    await away.publish({ status: "stopped" });
    const document = ModelsDocument.strict().parse((await server.call("GET", "/v1/models")).body);
    expect(document.models.map(({ digest, agents }) => [digest, agents])).toEqual([
      ["ac89", ["gpu-1", "gpu-2"]],
      ["other", ["gpu-2"]],
    ]);
    expect(document.unavailable).toMatchObject([{ agent: "gpu-3", code: "unavailable" }]);
  });

  test("answers one agent's models, and one of them under its percent-encoded name", async () => {
    await using server = await openServer();
    const name = "hf.co/user/Model-GGUF:Q4_K_M";
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4, modelOf(name, { digest: "77" })] });
    await ScriptedAgent.open(server.store, "gpu-2", { models: [modelOf("other:latest", { digest: "78" })] });
    const listed = ModelsDocument.parse((await server.call("GET", "/v1/agents/gpu-1/models")).body);
    expect(listed.models.map((model) => model.name)).toEqual([name, "phi4:latest"]);
    const one = await server.call("GET", `/v1/agents/gpu-1/models/${encodeURIComponent(name)}`);
    expect(ShownDocument.parse(one.body)).toMatchObject({ name, agents: ["gpu-1"], show: SHOWN });
    expect((await server.call("GET", "/v1/agents/gpu-1/models/PHI4")).status).toBe(200);
    expect((await server.call("GET", "/v1/agents/gpu-1/models/nothing")).status).toBe(404);
    expect((await server.call("GET", "/v1/agents/gpu-1/models/a%20b")).status).toBe(400);
    expect((await server.call("GET", `/v1/agents/gpu-1/models/${name}`)).status).toBe(404);
  });

  test("asks the agent before it denies a model that the state does not show, once in 10 s", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    agent.models = [PHI4, modelOf("copy:latest", { digest: "77" })];
    const shown = await server.call("GET", "/v1/agents/gpu-1/models/copy");
    expect(shown.status).toBe(200);
    expect(ShownDocument.parse(shown.body)).toMatchObject({ name: "copy:latest", agents: ["gpu-1"], show: SHOWN });
    for (const _ of [1, 2, 3]) expect((await server.call("GET", "/v1/agents/gpu-1/models/none")).status).toBe(404);
    const asked = agent.commands.filter(({ model_name }) => model_name === "none:latest");
    expect(asked.map(({ command }) => command)).toEqual(["show_model"]);
  });

  test("answers 503 or 504, not 404, when the agent does not respond", async () => {
    await using server = await openServer({ timeoutMs: 50 });
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4], answer: () => undefined });
    const { status, body } = await server.call("GET", "/v1/agents/gpu-1/models/none");
    expect([503, 504]).toContain(status);
    expect(body.detail).toContain("gpu-1");
  });

  test("deletes one agent's model and answers the result", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call("DELETE", "/v1/agents/gpu-1/models/phi4%3Alatest");
    expect(answer.status).toBe(200);
    expect(DeletedDocument.strict().parse(answer.body)).toEqual({
      agents: [{ agent: "gpu-1", model: "phi4:latest", code: null, error: null }],
    });
    expect(agent.models).toEqual([]);
    const again = await server.call("DELETE", "/v1/agents/gpu-1/models/phi4%3Alatest");
    expect([again.status, again.body.code]).toEqual([404, "not_found"]);
    expect((await server.call("DELETE", "/v1/agents/gpu-9/models/phi4")).status).toBe(404);
  });

  test("answers 400 for an invalid query", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    for (const query of ["fresh=maybe", "agent=..%2Fx", "agent=a&agent=b"]) {
      const answer = await server.call("GET", `/v1/models?${query}`);
      expect([answer.status, answer.body.code]).toEqual([400, "invalid"]);
    }
  });
});

describe("/v1/jobs", () => {
  const pull = { kind: "pull", model: "phi4", agents: "all" };

  test("starts a pull on every agent and answers 202 with a refused one as a failed job", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    await ScriptedAgent.open(server.store, "gpu-2", { answer: refuse });
    const answer = await server.call("POST", "/v1/jobs", { body: pull });
    expect(answer.status).toBe(202);
    const { jobs, refusals } = JobsDocument.strict().parse(answer.body);
    const refusal = { code: "exhausted", detail: "9.1 GB needed, 4.0 GB free", hint: "Remove a model" } as const;
    expect(refusals).toEqual([{ agent: "gpu-2", ...refusal, said_by: "gpu-2" }]);
    expect(jobs).toMatchObject([
      { agent: "gpu-1", model: "phi4:latest", state: "queued", code: null },
      { agent: "gpu-2", state: "failed", code: "exhausted", error: "9.1 GB needed, 4.0 GB free" },
    ]);
    for (const job of jobs) expect((await server.call("GET", `/v1/jobs/${job.id}`)).body).toEqual(job);
    const listed = JobsDocument.parse((await server.call("GET", "/v1/jobs")).body);
    expect(listed.jobs).toEqual(jobs);
    expect((await server.call("GET", "/v1/jobs?agent=gpu-2")).body.jobs).toEqual([jobs[1]]);
  });

  test("asks each named agent once, and answers a failed job for an unknown agent", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const body = { ...pull, agents: ["gpu-1", "gpu-9", "gpu-1"] };
    const { jobs } = (await server.call("POST", "/v1/jobs", { body })).body;
    expect(jobs).toMatchObject([
      { agent: "gpu-1", state: "queued" },
      { agent: "gpu-9", state: "failed", code: "not_found" },
    ]);
    expect(agent.commands).toHaveLength(1);
  });

  test("keeps the jobs of a few unknown agents out of the list, to be looked up by their ids", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const unknown = Array.from({ length: 20 }, (_, index) => `gpu-${index + 90}`);
    const listener = server.services.jobFeed.startAfter(undefined);
    const body = { ...pull, agents: ["gpu-1", ...unknown] };
    const [started, ...refused] = (await server.call("POST", "/v1/jobs", { body })).body.jobs;
    expect(refused).toHaveLength(20);
    for (const query of ["", "?state=failed", "?model=phi4"]) {
      const { jobs } = (await server.call("GET", `/v1/jobs${query}`)).body;
      expect(jobs.map(({ agent }: { agent: string }) => agent)).toEqual(query === "?state=failed" ? [] : ["gpu-1"]);
    }
    expect((await server.call("GET", "/v1/jobs?agent=gpu-90")).status).toBe(404);
    const found = await Promise.all(
      refused.map(async ({ id }: { id: string }) => (await server.call("GET", `/v1/jobs/${id}`)).status),
    );
    expect(found.filter((status) => status === 200)).toHaveLength(10);
    expect(server.services.endedJobs.last - listener.number).toBe(10);
    expect((await server.call("GET", "/v1/jobs")).body.jobs[0].id).toBe(started.id);
    await ScriptedAgent.open(server.store, "gpu-90");
    await until(async () => (await server.call("GET", "/v1/agents/gpu-90")).status === 200);
    expect((await server.call("GET", "/v1/jobs")).body.jobs).toHaveLength(2);
  });

  test("answers 404 when every agent that is named is unknown, and keeps nothing", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const one = await server.call("POST", "/v1/jobs", { body: { ...pull, agents: ["gpu-9"] } });
    expect([one.status, one.body]).toMatchObject([
      404,
      { detail: 'Unknown agent "gpu-9"', hint: "Known agents: gpu-1" },
    ]);
    const two = await server.call("POST", "/v1/jobs", { body: { ...pull, agents: ["gpu-8", "gpu-9"] } });
    expect([two.status, two.body]).toMatchObject([
      404,
      { detail: 'Unknown agents "gpu-8", "gpu-9"', code: "not_found" },
    ]);
    expect(server.services.refusedJobs.list(() => true)).toEqual([]);
    expect(server.services.endedJobs.last).toBe(0);
  });

  test("answers 202 when the only agent is known and the registry has no such model", async () => {
    await using server = await openServer();
    const answer = () => ({ success: false, code: "not_found" as const, error: "no such model" });
    await ScriptedAgent.open(server.store, "gpu-1", { answer });
    const { status, body } = await server.call("POST", "/v1/jobs", { body: pull });
    expect([status, body.jobs[0].code]).toEqual([202, "not_found"]);
    expect((await server.call("GET", "/v1/jobs")).body.jobs).toEqual(body.jobs);
  });

  test("gives a refused job the time and the name of its request", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { answer: refuse });
    const [job] = (await server.call("POST", "/v1/jobs", { body: pull })).body.jobs;
    expect(job).toMatchObject({ requested_by: "platform", created_at: job.ended_at, retry_at: null });
    expect(Math.abs(Date.parse(job.created_at) - Date.now())).toBeLessThan(60_000);
  });

  test("names the token to the agent", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    await server.call("POST", "/v1/jobs", { body: pull });
    await server.call("DELETE", "/v1/agents/gpu-1/models/phi4");
    expect(agent.commands.map(({ command, requested_by }) => [command, requested_by])).toEqual([
      ["pull_model", "platform"],
      ["delete_model", "platform"],
    ]);
  });

  test("passes force and now on to the agent", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    for (const body of [pull, { ...pull, force: true }, { ...pull, now: true }])
      await server.call("POST", "/v1/jobs", { body });
    expect(agent.commands.map((command) => command.arguments)).toEqual([undefined, { force: true }, { now: true }]);
    expect((await server.call("POST", "/v1/jobs", { body: { ...pull, force: null, now: null } })).status).toBe(202);
    expect(agent.commands.at(-1)?.arguments).toBeUndefined();
    const wrong = await server.call("POST", "/v1/jobs", { body: { ...pull, force: "yes" } });
    expect([wrong.status, wrong.body.code]).toEqual([400, "invalid"]);
  });

  test("answers 503 when there is no agent", async () => {
    await using server = await openServer();
    expect((await server.call("POST", "/v1/jobs", { body: pull })).status).toBe(503);
    expect((await server.call("GET", "/v1/jobs")).status).toBe(503);
  });

  test("answers what was last seen, and 503 for the rest, when the server's access to the share is denied", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    expect((await server.call("GET", "/v1/jobs")).status).toBe(200);
    const denied = "Cannot read the share: permission denied";
    server.store.interrupt(new CourierError("forbidden", denied, { hint: "Mount it" }));
    const jobs = await server.call("GET", "/v1/jobs");
    expect([jobs.status, jobs.body.unavailable]).toMatchObject([
      200,
      [{ agent: "gpu-1", code: "unavailable", reason: expect.stringContaining(denied) }],
    ]);
    expect((await server.call("GET", "/v1/agents")).body.agents).toMatchObject([{ status: "offline" }]);
    for (const path of ["/readyz", "/v1/agents/gpu-1/models/phi4"]) {
      const { status, body } = await server.call("GET", path);
      expect([status, body]).toMatchObject([503, { code: "unavailable", detail: denied, hint: "Mount it" }]);
    }
    expect((await server.call("GET", "/api/config/models")).status).toBe(503);
  });

  test("answers 404 for an unknown job, and 400 for an invalid id", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    expect((await server.call("GET", "/v1/jobs/0190-none")).status).toBe(404);
    expect((await server.call("GET", "/v1/jobs/..%2Fx")).status).toBe(400);
  });

  test("joins an existing job of the agent, under the same id", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", {
      answer: (command, self) => (self.jobs[0] === undefined ? answerAsAgent(command, self) : { job: self.jobs[0] }),
    });
    const ids = [];
    for (const _ of [1, 2]) ids.push((await server.call("POST", "/v1/jobs", { body: pull })).body.jobs[0].id);
    expect(ids).toEqual([agent.jobs[0]?.id, agent.jobs[0]?.id]);
  });

  test.each([
    ["no kind", { model: "phi4", agents: "all" }, "kind"],
    ["another kind", { ...pull, kind: "push" }, "kind"],
    ["a model that is null", { ...pull, model: null }, "model"],
    ["agents that are null", { ...pull, agents: null }, "agents"],
    ["one agent that is not in a list", { ...pull, agents: "gpu-1" }, 'agents must be a list of names, or "all"'],
    ["no agents", { kind: "pull", model: "phi4" }, "agents is missing"],
    ["an empty list of agents", { ...pull, agents: [] }, "agents must name at least one agent"],
    [
      "a list of too many agents",
      { ...pull, agents: Array.from({ length: 1001 }, () => "gpu-1") },
      "agents must name at most 1000 agents",
    ],
    ["an agent that is a path", { ...pull, agents: ["../x"] }, "agents.0 must be 1 to 63"],
    ["an invalid model name", { ...pull, model: "a b" }, "a b"],
    ["a body that is not an object", "[]", "The body must be an object"],
    ["invalid JSON", "{", "JSON"],
  ])("answers 400 with the reason when there is %s", async (_, body, word) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("POST", "/v1/jobs", { body });
    expect([answer.status, answer.body.code]).toEqual([400, "invalid"]);
    expect(answer.body.detail).toContain(word);
    expect(agent.commands).toEqual([]);
  });

  test("answers 415 for another content type and 413 for a body that is too large", async () => {
    await using server = await openServer();
    const headers = { "content-type": "text/plain" };
    const typed = await server.call("POST", "/v1/jobs", { body: JSON.stringify(pull), headers });
    expect([typed.status, typed.body.code]).toEqual([415, "invalid"]);
    expect(typed.body.hint).toContain("application/json");
    const large = await server.call("POST", "/v1/jobs", { body: { ...pull, model: "x".repeat(70_000) } });
    expect([large.status, large.body.code]).toEqual([413, "invalid"]);
  });
});
