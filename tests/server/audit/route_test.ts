// GET /v1/audit: who may read it, its filters and its pages.
import { expect, test } from "bun:test";
import { AuditDocument } from "#src/documents/audit.ts";
import type { Caller } from "#src/server/access/caller.ts";
import { createApi } from "#src/server/api.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

/** Two deletes of `platform`, of which the second fails, and one refused to `dashboard`. */
async function withThreeEntries(server: ServerUnderTest): Promise<void> {
  await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
  const path = "/v1/agents/gpu-1/models/phi4";
  for (const token of [server.gp, server.gp, server.viewer]) await server.call("DELETE", path, { token });
}

async function read(server: ServerUnderTest, query: string): Promise<AuditDocument> {
  const { status, body } = await server.call("GET", `/v1/audit?${query}`);
  expect(status).toBe(200);
  return AuditDocument.parse(body);
}

test("only a gp that sees all agents may read it", async () => {
  await using server = await openServer();
  const statuses = [server.gp, server.viewer, null].map(
    async (token) => (await server.call("GET", "/v1/audit", { token })).status,
  );
  expect(await Promise.all(statuses)).toEqual([200, 403, 401]);
  const caller: Caller = {
    name: "berlin",
    way: "token",
    role: "gp",
    agents: new Set(["gpu-1"]),
    verbs: null,
    expiresAtMs: null,
  };
  const authenticator = { authenticate: async () => await Promise.resolve(caller) };
  const scoped = createApi(Object.assign({ ...server.services }, { authenticator }));
  const response = await scoped.request("/v1/audit", {}, {});
  expect([response.status, await response.json()]).toMatchObject([403, { code: "forbidden" }]);
});

test("shows the newest first, and pages to the oldest", async () => {
  await using server = await openServer();
  await withThreeEntries(server);
  const first = await server.call("GET", "/v1/audit?limit=2");
  expect(first.headers.get("link")).toBe(`<?limit=2&after=${first.body.next}>; rel="next"`);
  const last = await read(server, `limit=2&after=${first.body.next}`);
  expect([...first.body.entries, ...last.entries]).toMatchObject([
    { who: "dashboard", outcome: "forbidden" },
    { who: "platform", outcome: "not_found" },
    { who: "platform", outcome: "ok" },
  ]);
  expect([last.next, last.dropped]).toEqual([undefined, undefined]);
});

test("filters by time, sender, agent, verb and outcome", async () => {
  await using server = await openServer();
  const before = new Date(Date.now() - 1_000).toISOString();
  await withThreeEntries(server);
  const after = new Date(Date.now() + 1_000).toISOString();
  const counts = [
    "who=platform",
    "agent=gpu-1",
    "agent=gpu-2",
    "verb=delete_model",
    "verb=pull_model",
    "outcome=ok",
    "who=platform&outcome=not_found",
    `since=${before}&until=${after}`,
    `until=${before}`,
    `since=${encodeURIComponent(after.replace("Z", "+00:00"))}`,
  ].map(async (query) => (await read(server, query)).entries.length);
  expect(await Promise.all(counts)).toEqual([2, 3, 0, 2, 0, 1, 1, 3, 0, 0]);
});

test.each(["since=yesterday", "after=x", "after=0", "limit=0", "limit=1001", "verb=explode", "outcome=bad"])(
  "refuses ?%s",
  async (query) => {
    await using server = await openServer();
    expect((await server.call("GET", `/v1/audit?${query}`)).status).toBe(400);
  },
);

test("shows how much is no longer kept", async () => {
  await using server = await openServer();
  const dropped = [{ refused: true, entries: 12, until: "2026-06-01T00:00:00.000Z" }];
  Object.assign(server.services.audit, { dropped: () => dropped });
  expect((await read(server, "")).dropped).toEqual(dropped);
});
