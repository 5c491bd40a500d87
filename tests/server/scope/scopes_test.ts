// Tokens with different agents beside each other.
import { expect, test } from "bun:test";
import { Scopes } from "#src/server/scope/scopes.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";
import { HIDDEN } from "./subjects.ts";
import { openWorld } from "./worlds.ts";

function tokenFor(server: ServerUnderTest, agent: string): string {
  return server.tokens.add(`for-${agent}`, "gp", { expiresAtMs: null, agents: [agent], verbs: null });
}

test("tokens for different agents share no answer, not even where both lists changed equally often", async () => {
  await using server = await openServer();
  const tokens = new Map<string, string>();
  for (const agent of ["gpu-1", "gpu-2"]) {
    await ScriptedAgent.open(server.store, agent, { models: [modelOf(`of-${agent}:1b`)] });
    tokens.set(agent, tokenFor(server, agent));
  }
  for (const path of ["/v1/agents", "/v1/models", "/v1/jobs", "/api/models", "/api/models?fresh=true"])
    for (const [agent, token] of tokens) {
      const { status, body, headers } = await server.call("GET", path, { token });
      expect(status).toBe(200);
      expect(JSON.stringify(body)).not.toContain(agent === "gpu-1" ? "gpu-2" : "gpu-1");
      const etag = headers.get("etag");
      const others = [...tokens].filter(([other]) => other !== agent);
      for (const [, other] of path.includes("jobs") || etag === null ? [] : others)
        expect(
          (await server.call("GET", path, { token: other, headers: { "if-none-match": etag ?? "" } })).status,
        ).toBe(200);
    }
});

test("what a token asks of agents that it does not see leaves no trace for others", async () => {
  await using world = await openWorld("with gpu-2");
  const { server, scoped, own, hidden } = world;
  const before = await server.call("GET", "/v1/jobs");
  const ends = server.services.endedJobs.last;
  const body = { kind: "pull", model: "new:1b", agents: [HIDDEN.agent] };
  const alone = await server.call("POST", "/v1/jobs", { token: scoped, body });
  expect([alone.status, alone.body.code]).toEqual([404, "not_found"]);
  expect((await server.call("GET", "/v1/jobs")).body).toEqual(before.body);
  const both = { ...body, agents: [own.name, HIDDEN.agent] };
  const [started, failed] = (await server.call("POST", "/v1/jobs", { token: scoped, body: both })).body.jobs;
  expect(failed).toMatchObject({ agent: HIDDEN.agent, state: "failed", code: "not_found" });
  expect((await server.call("GET", `/v1/jobs/${failed.id}`)).status).toBe(404);
  const { jobs } = (await server.call("GET", "/v1/jobs")).body;
  expect(jobs.filter(({ id }: { id: string }) => id !== started.id)).toEqual(before.body.jobs);
  expect([server.services.endedJobs.last, hidden?.commands]).toEqual([ends, []]);
});

test("pulls and deletes on its own agents, and is named as the one who asked", async () => {
  await using world = await openWorld("with gpu-2");
  const { server, scoped, own, hidden } = world;
  const body = { kind: "pull", model: "new:1b", agents: "all" };
  const { jobs } = (await server.call("POST", "/v1/jobs", { token: scoped, body })).body;
  expect(jobs).toEqual([expect.objectContaining({ agent: own.name, state: "queued" })]);
  expect((await server.call("DELETE", "/api/models/own:1b", { token: scoped })).status).toBe(200);
  expect(own.commands.map(({ command, requested_by }) => [command, requested_by])).toEqual([
    ["pull_model", "scoped"],
    ["delete_model", "scoped"],
  ]);
  expect(hidden?.commands).toEqual([]);
});

test("an agent of the token that starts later is there from then on", async () => {
  await using server = await openServer();
  const token = tokenFor(server, "gpu-9");
  expect((await server.call("GET", "/v1/agents", { token })).body.agents).toEqual([]);
  const agent = await ScriptedAgent.open(server.store, "gpu-9");
  await until(async () => (await server.call("GET", "/v1/agents", { token })).body.agents.length === 1);
  await agent.publish({ status: "draining" });
  await until(async () => (await server.call("GET", "/v1/agents", { token })).body.agents[0].reason === "draining");
});

test("at most 100 scopes of 50,000 agents are kept, and one that was dropped no longer follows the fleet", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  const scopes = new Scopes(server.services);
  const scopeOf = (name: string) => scopes.servicesFor({ agents: new Set(["gpu-1", name]) });
  const [first, second] = [scopeOf("first"), scopeOf("second")];
  for (let number = 0; number < 98; number++) scopeOf(`other-${number}`);
  expect(scopeOf("first")).toBe(first);
  scopeOf("one-more");
  expect([scopes.size, scopeOf("first") === first]).toEqual([100, true]);
  const versions = [first, second].map(({ fleet }) => fleet.index.agents.version);
  await agent.publish({ status: "draining" });
  await until(() => first.fleet.index.view("gpu-1")?.reason === "draining");
  const many = (of: string) => new Set(Array.from({ length: 30_000 }, (_, index) => `${of}-${index}`));
  const isCurrent = [first, second].map(({ fleet }, index) => fleet.index.agents.version !== versions[index]);
  expect(isCurrent).toEqual([true, false]);
  for (const of of ["a", "b"]) scopes.servicesFor({ agents: many(of) });
  expect(scopes.size).toBe(1);
});

test("the lists of a token stay as they are while other agents change", async () => {
  await using world = await openWorld("with gpu-2");
  const { server, hidden, clock } = world;
  const { index } = new Scopes(server.services).servicesFor({ agents: new Set(["gpu-1"]) }).fleet;
  const whole = server.services.fleet.index;
  const versions = ({ agents, models, jobs }: typeof index) => [agents.version, models.version, jobs.version];
  const before = { own: versions(index), whole: versions(whole) };
  if (hidden !== undefined) Object.assign(hidden, { models: [], jobs: [] });
  await hidden?.publish({ status: "draining" });
  await clock.advance(1_000);
  expect(versions(index)).toEqual(before.own);
  for (const [place, version] of versions(whole).entries()) expect(version).not.toBe(before.whole[place] ?? 0);
});
