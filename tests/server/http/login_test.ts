// The platform's own login over HTTP: statuses, limits, streams, and what the log and the routes without a token show of it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { SimulatedPlatform } from "#sim/platform/platform.ts";
import { TRUSTED_CALLER } from "#src/server/access/caller.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import { MAX_VIEWER_LISTENERS } from "#src/server/limits/listeners.ts";
import { ListLog } from "#tests/server/access/login/harness.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const MODELS = "/api/config/available-models";

let clock: ManualClock;
let log: ListLog;
let platform: SimulatedPlatform;
let server: ServerUnderTest;

beforeEach(async () => {
  clock = new ManualClock();
  log = new ListLog();
  platform = new SimulatedPlatform({ users: { ada: "admin", eve: "user", bob: "guest" }, clock });
  const authRole = ["gp=admin", "viewer=user"];
  const login = await openLogin({ authIntrospect: platform.whoAmI, authRole }, { clock, log });
  server = await openServer({ clock, log, login });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await platform.stop();
});

async function statusOf(token: string, path = MODELS): Promise<number> {
  return (await server.call("GET", path, { token })).status;
}

test("a user has the role that its role has here, and a revoked token gets 401 within 30 s", async () => {
  const [ada, eve, bob] = [platform.login("ada"), platform.login("eve"), platform.login("bob")];
  expect([await statusOf(ada), await statusOf(eve), await statusOf(bob)]).toEqual([200, 403, 403]);
  expect([await statusOf(eve, "/v1/agents"), await statusOf(bob, "/v1/agents")]).toEqual([200, 403]);
  platform.revoke(ada);
  await clock.advance(30_000);
  expect(await statusOf(ada)).toBe(401);
});

test("nobody is let in while the platform is away, and own tokens and /readyz do not need it", async () => {
  const ada = platform.login("ada");
  await platform.stop();
  const { status, headers, body } = await server.call("GET", "/v1/agents", { token: ada });
  expect([status, headers.get("retry-after"), body.code]).toEqual([503, "5", "unavailable"]);
  expect(JSON.stringify(body)).not.toContain(new URL(platform.whoAmI).host);
  expect([await statusOf(server.gp), (await server.call("GET", "/readyz", { token: null })).status]).toEqual([
    200, 200,
  ]);
});

test("the log of requests without a valid token has those only that got 401", async () => {
  const [ada, bob, eve] = [platform.login("ada"), platform.login("bob"), platform.login("eve")];
  platform.revoke(eve);
  expect(await statusOf(bob)).toBe(403);
  platform.fault = () => new Response("down", { status: 500 });
  expect(await statusOf(ada)).toBe(503);
  await server.call("GET", "/readyz", { token: ada });
  server.services.refusedLogins.close();
  expect(log.text).not.toContain("without a valid token");
  platform.fault = null;
  expect(await statusOf(eve)).toBe(401);
  expect(log.text).toContain("Refused a request without a valid token");
});

test("an own token is never shown to the platform, not even one that is unknown", async () => {
  expect([await statusOf(server.gp), await statusOf("gpuc_unknown")]).toEqual([200, 401]);
  expect(platform.asked).toEqual([]);
});

test("a token counts in the header only, and the log never has one", async () => {
  const ada = platform.login("ada");
  for (const query of [`token=${ada}`, `access_token=${ada}`])
    expect((await server.call("GET", `/v1/agents?${query}`, { token: null })).status).toBe(401);
  await statusOf(ada);
  await statusOf(platform.login("bob"));
  platform.fault = () => new Response("down", { status: 500 });
  await statusOf(platform.login("eve"));
  server.services.refusedLogins.close();
  expect(log.text).toContain("user:ada");
  expect(log.text).not.toContain(ada.slice(0, 40));
});

test("a user has limits of its own, apart from a token of the same name", async () => {
  const token = server.tokens.add("eve", "viewer");
  for (let count = 0; count < 50; count++) await statusOf(token, "/v1/agents");
  expect(await statusOf(token, "/v1/agents")).toBe(429);
  expect(await statusOf(platform.login("eve"), "/v1/agents")).toBe(200);
});

test("a command, its job and the audit show the user who asked", async () => {
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  const body = { kind: "pull", model: "phi4", agents: ["gpu-1"] };
  const { status } = await server.call("POST", "/v1/jobs", { token: platform.login("ada"), body });
  expect([status, agent.commands.map((command) => command.requested_by)]).toEqual([202, ["user:ada"]]);
  const audit = await server.call("GET", "/v1/audit", { token: platform.login("ada") });
  expect(audit.body.entries).toMatchObject([{ who: "user:ada", way: "introspection" }]);
});

test("the audit shows what a user without a role tried to change, within the rate of a viewer", async () => {
  const token = platform.login("bob");
  const request = "DELETE /v1/agents/gpu-1/models/phi4";
  const statuses: number[] = [];
  for (let count = 0; count < 60; count++)
    statuses.push((await server.call("DELETE", "/v1/agents/gpu-1/models/phi4", { token })).status);
  expect(new Set(statuses)).toEqual(new Set([403, 429]));
  const { entries } = (await server.call("GET", "/v1/audit")).body;
  expect(entries).toHaveLength(statuses.filter((status) => status === 403).length);
  const one = { request, who: "user:bob", way: "introspection", verb: null, agent: "gpu-1", outcome: "forbidden" };
  expect(entries[0]).toMatchObject(one);
});

test("messages do not call a user a token, and the hint without one is to log in", async () => {
  const [eve, bob] = [platform.login("eve"), platform.login("bob")];
  const problemOf = async (path: string, token: string | null = eve) =>
    (await server.call("POST", path, { token })).body;
  expect((await problemOf("/v1/jobs")).detail).toBe('"user:eve" has the role viewer, which does not permit this');
  expect((await problemOf("/v1/jobs", server.viewer)).detail).toStartWith('Token "dashboard" has the role viewer');
  for (let count = 0; count < 50; count++) await problemOf("/v1/jobs");
  expect((await problemOf("/v1/jobs")).detail).toBe('"user:eve" sends too many requests');
  expect((await problemOf("/v1/jobs", bob)).detail).toBe('"user:bob" has no role here');
  const caller = { ...TRUSTED_CALLER, name: "user:eve", role: "viewer", way: "introspection" } as const;
  for (let count = 0; count < MAX_VIEWER_LISTENERS; count++) server.services.listeners.add(caller);
  expect(server.services.listeners.refusal(caller)).toBe('"user:eve" already has 100 listeners');
  const { hint } = await problemOf("/v1/jobs", null);
  expect(hint).toBe("Send the header Authorization: Bearer TOKEN. Log in to the platform to get a token");
  await using withoutLogin = await openServer();
  expect((await withoutLogin.call("GET", "/v1/jobs", { token: null })).body.hint).toContain("gpu-server token add");
});
