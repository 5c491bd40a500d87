// /v1 and the keys of agents: what a list and an agent show, and POST /v1/agents/{agent}/trust.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { AgentDocument } from "#src/documents/agents.ts";
import { TrustedDocument } from "#src/documents/trust.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";
import { unsignedState } from "#tests/trust/agents/signed_states.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [MINE, OTHER] = [testKey(1), testKey(2)];

let store: MemoryStore;
let agent: ScriptedAgent;
let server: ServerUnderTest;
beforeEach(async () => {
  store = new MemoryStore();
  agent = await ScriptedAgent.open(store, "gpu-1", { models: [modelOf("phi4:latest")], key: MINE });
  server = await openServer({ store });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await agent.close();
});

async function shown() {
  return AgentDocument.parse((await server.call("GET", "/v1/agents/gpu-1")).body);
}

async function trust(body: object, token?: string) {
  return await server.call("POST", "/v1/agents/gpu-1/trust", { body, ...(token === undefined ? {} : { token }) });
}

async function publishedBy(text: string): Promise<void> {
  await server.transport.publishState("gpu-1", text);
}

test("an agent's document has its key, and a fleet that never signed has no such fields", async () => {
  expect(await shown()).toMatchObject({ key_id: MINE.id, key_status: "first use" });
  const old = await ScriptedAgent.open(store, "gpu-2");
  const { body } = await server.call("GET", "/v1/agents/gpu-2");
  expect(Object.keys(AgentDocument.parse(body))).not.toContain("key_status");
  await old.close();
});

test("a forged state is passed over, and the lists stay right", async () => {
  expect((await shown()).status).toBe("online");
  await publishedBy(unsignedState("gpu-1", { models: [], model_count: 0 }));
  await server.services.fleet.refresh("gpu-1");
  expect((await server.call("GET", "/v1/models")).body.models).toHaveLength(1);
  expect(server.services.courier.keys.troubles.all()).toMatchObject([{ agent: "gpu-1", count: 1 }]);
});

test("trust makes a box that was replaced right at once", async () => {
  expect((await shown()).key_status).toBe("first use");
  agent.key = OTHER;
  await agent.publish();
  await until(async () => (await shown()).key_status === "conflict");
  expect((await shown()).conflicting_key_id).toBe(OTHER.id);
  expect(await trust({})).toMatchObject({ status: 409, body: { detail: expect.stringContaining(OTHER.id) } });
  const { status, body } = await trust({ key: OTHER.id });
  expect(status).toBe(200);
  expect(TrustedDocument.parse(body)).toEqual({
    agent: "gpu-1",
    key_id: OTHER.id,
    key_status: "confirmed",
    previous_key_id: MINE.id,
  });
  expect(await shown()).toMatchObject({ status: "online", key_id: OTHER.id, key_status: "confirmed" });
});

test("trust takes the line of gpu-agent key, and unsigned", async () => {
  const line = publicLine(OTHER, "gpu-1");
  expect((await trust({ key: line })).body).toMatchObject({ key_id: OTHER.id, key_status: "confirmed" });
  expect((await trust({ key: rawKey(MINE) })).body).toMatchObject({ key_id: MINE.id });
  expect((await trust({ unsigned: true })).body).toMatchObject({ key_status: "unsigned" });
});

test.each([
  ["an invalid key", { key: "AAAA" }, 400],
  ["a key and unsigned", { key: rawKey(OTHER), unsigned: true }, 400],
  ["unsigned as a text", { unsigned: "yes" }, 400],
])("trust refuses %s", async (_, body, status) => {
  expect((await trust(body)).status).toBe(status);
  expect((await shown()).key_id).toBe(MINE.id);
});

test("trust needs the role gp, and a key that was seen", async () => {
  expect((await trust({}, server.viewer)).status).toBe(403);
  expect((await server.call("POST", "/v1/agents/gpu-9/trust", { body: {} })).status).toBe(404);
});

test("trust fails when its decision was not stored, and while the stored keys cannot be read", async () => {
  await shown();
  server.services.keeper.save("keys");
  server.database.run("CREATE TRIGGER full BEFORE INSERT ON known_agents BEGIN SELECT RAISE(ABORT, 'full'); END");
  expect(await trust({})).toMatchObject({
    status: 503,
    body: { detail: expect.stringContaining("Cannot store the agents' keys") },
  });
  server.database.run("DROP TRIGGER full");
  expect((await trust({})).status).toBe(200);
  server.services.courier.keys.failure = new CourierError("unavailable", "unread");
  expect((await trust({})).status).toBe(503);
});
