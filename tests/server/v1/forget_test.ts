// DELETE /v1/agents/{agent}: which agents may be forgotten, by whom, and what is left of them.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { ForgottenDocument } from "#src/documents/forgotten.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";
import { testKey } from "#tests/trust/test_key.ts";

const MINUTES_MS = 60_000;

let clock: ManualClock;
let server: ServerUnderTest;
let gone: ScriptedAgent;
beforeEach(async () => {
  clock = new ManualClock();
  server = await openServer({ clock, store: new MemoryStore(clock) });
  gone = await ScriptedAgent.open(server.store, "gpu-10", { models: [modelOf("phi4:latest")], key: testKey(1) });
});
afterEach(async () => {
  await gone.close();
  await server[Symbol.asyncDispose]();
});

async function forget(token?: string, agent = "gpu-10") {
  return await server.call("DELETE", `/v1/agents/${agent}`, token === undefined ? {} : { token });
}

async function shown(path: string, field: string): Promise<readonly unknown[]> {
  return (await server.call("GET", path)).body[field];
}

test("an agent that has been silent for 5 minutes is forgotten at once, with its models; its key stays known", async () => {
  await clock.advance(5 * MINUTES_MS);
  const other = await ScriptedAgent.open(server.store, "gpu-1");
  await server.services.fleet.refresh(other.name);
  const { status, body } = await forget();
  expect([status, ForgottenDocument.parse(body)]).toEqual([
    200,
    { agents: [{ agent: "gpu-10", code: null, error: null, commands: 0 }] },
  ]);
  expect(await shown("/v1/agents", "agents")).toMatchObject([{ agent: "gpu-1" }]);
  expect(await shown("/v1/models?agent=gpu-1", "models")).toEqual([]);
  expect(await server.transport.readState("gpu-10")).toBeNull();
  expect(server.services.courier.keys.key("gpu-10")?.id).toBe(testKey(1).id);
  expect((await forget()).status).toBe(404);
  await other.close();
});

test.each([
  [0, "it is there"],
  [4 * MINUTES_MS, "it was there a moment ago"],
])("an agent that reported %p ms ago stays", async (silentMs, reason) => {
  await clock.advance(silentMs);
  expect(await forget()).toMatchObject({
    status: 409,
    body: { code: "conflict", detail: `Cannot forget gpu-10: ${reason}` },
  });
  expect(await server.transport.readState("gpu-10")).not.toBeNull();
});

test("one that came back since the server looked stays", async () => {
  await clock.advance(5 * MINUTES_MS);
  server.services.fleet.find = async () => {
    const view = server.services.fleet.index.view("gpu-10");
    await gone.publish();
    return await Promise.resolve(view);
  };
  expect((await forget()).status).toBe(409);
});

test("it needs the role gp, and no limits; each attempt is in the audit", async () => {
  await clock.advance(5 * MINUTES_MS);
  const limits = { expiresAtMs: null, agents: ["gpu-10"], verbs: null };
  const scoped = server.tokens.add("scoped", "gp", limits);
  expect([(await forget(server.viewer)).status, (await forget(scoped)).status]).toEqual([403, 403]);
  expect((await forget()).status).toBe(200);
  const request = "DELETE /v1/agents/gpu-10";
  expect(await shown("/v1/audit", "entries")).toMatchObject([
    { who: "platform", request, agent: "gpu-10", outcome: "ok", verb: null },
    { who: "scoped", request, agent: "gpu-10", outcome: "forbidden" },
    { who: "dashboard", request, agent: "gpu-10", outcome: "forbidden" },
  ]);
});

test("a share that denies it is unavailable: the caller may", async () => {
  await clock.advance(5 * MINUTES_MS);
  server.transport.forget = async () => await Promise.reject(new CourierError("forbidden", "Permission denied"));
  expect(await forget()).toMatchObject({ status: 503, body: { code: "unavailable" } });
  expect(await shown("/v1/agents", "agents")).toHaveLength(1);
});
