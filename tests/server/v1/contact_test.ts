// The routes that ping an agent, list what agents refused, and examine the share.
import { describe, expect, test } from "bun:test";
import { PingDocument, RefusedCommandsDocument } from "#src/documents/contact.ts";
import { DoctorDocument } from "#src/documents/doctor.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

describe("POST /v1/agents/{agent}/ping", () => {
  test("measures a round trip for a viewer too, and leaves no entry in the audit", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    for (const token of [server.gp, server.viewer]) {
      const { status, body } = await server.call("POST", "/v1/agents/gpu-1/ping", { token });
      expect([status, PingDocument.strict().parse(body).agent]).toEqual([200, "gpu-1"]);
    }
    expect(agent.commands.map(({ command }) => command)).toEqual(["ping", "ping"]);
    expect(server.services.audit.read({}, { limit: 10 })).toEqual([]);
  });

  test("answers 404 for an unknown agent, and what the agent says in its own name", async () => {
    await using server = await openServer();
    const refuse = () => ({ success: false, code: "exhausted", error: "Busy", hint: "Wait" }) as const;
    await ScriptedAgent.open(server.store, "gpu-1", { answer: refuse });
    expect((await server.call("POST", "/v1/agents/gpu-9/ping")).status).toBe(404);
    const { status, body } = await server.call("POST", "/v1/agents/gpu-1/ping");
    expect([status, body.detail, body.hint, body.said_by]).toEqual([507, "Busy", "Wait", "gpu-1"]);
  });
});

test("GET /v1/refused lists what the states show, of one agent or all", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  await ScriptedAgent.open(server.store, "gpu-2");
  const refused = {
    at: agent.now(),
    command_id: "01a20aac-24d0-7785-b91f-da066d157a40",
    command: "pull_model",
    model: "phi4",
    code: "forbidden",
    error: "It is not signed",
  } as const;
  await agent.publish({ refused: [refused] });
  await server.services.fleet.refresh("gpu-1");
  const { body } = await server.call("GET", "/v1/refused", { token: server.viewer });
  expect(RefusedCommandsDocument.strict().parse(body).refused).toEqual([{ agent: "gpu-1", ...refused }]);
  expect((await server.call("GET", "/v1/refused?agent=gpu-2")).body).toEqual({ refused: [] });
});

describe("GET /v1/doctor", () => {
  test("answers everybody who asks at the same time with one examination", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const ask = async () => await server.call("GET", "/v1/doctor", { token: server.viewer });
    const [first, second] = await Promise.all([ask(), ask()]);
    const document = DoctorDocument.strict().parse(first.body);
    expect(document.checks.map(({ check, subject }) => [check, subject])).toContainEqual(["ping", "gpu-1"]);
    expect(second.body).toEqual(first.body);
    expect((await ask()).body).toEqual(first.body);
    expect(agent.commands).toHaveLength(1);
  });

  test("waits 10 s for an agent that does not answer a ping, however long other requests wait", async () => {
    const clock = new ManualClock();
    await using server = await openServer({ clock, store: new MemoryStore(clock), timeoutMs: 30_000 });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { answer: () => undefined });
    const asked = server.call("GET", "/v1/doctor");
    await until(() => agent.commands.length === 1);
    for (let second = 0; second < 60; second++) await clock.advance(1_000);
    const { checks } = DoctorDocument.parse((await asked).body);
    const ping = checks.find(({ check }) => check === "ping");
    expect([ping?.result, ping?.message]).toEqual(["failed", expect.stringContaining("No answer within 10 s")]);
  });

  test("has the agents as people count, and so has the hint for an unknown one", async () => {
    await using server = await openServer();
    for (const name of ["gpu-10", "gpu-2", "gpu-1"]) await ScriptedAgent.open(server.store, name);
    const { checks } = DoctorDocument.parse((await server.call("GET", "/v1/doctor")).body);
    const subjects = checks.filter(({ check }) => check === "ping").map(({ subject }) => subject);
    expect(subjects).toEqual(["gpu-1", "gpu-2", "gpu-10"]);
    const { body } = await server.call("GET", "/v1/agents/gpu-7");
    expect(body.hint).toBe("Known agents: gpu-1, gpu-2, gpu-10");
  });

  test("is not for a token with limits: it shows all agents, and the paths of the share", async () => {
    await using server = await openServer();
    const token = server.tokens.add("of-one", "viewer", { agents: ["gpu-1"], verbs: null, expiresAtMs: null });
    expect((await server.call("GET", "/v1/doctor", { token })).status).toBe(403);
  });
});
