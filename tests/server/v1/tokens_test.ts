// Tokens over HTTP: who may manage them, and that nobody gives away more than it has.
import { describe, expect, test } from "bun:test";
import { SimulatedPlatform } from "#sim/platform/platform.ts";
import type { Caller } from "#src/server/access/caller.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import { MAX_VIEWER_LISTENERS } from "#src/server/limits/listeners.ts";
import { MOST_ADDED_TOKENS } from "#src/server/store/added_tokens.ts";
import { ListLog } from "#tests/server/access/login/harness.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { OWN_PAGE, signIn } from "#tests/support/sites/browser_session.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const START_MS = Date.parse("2026-11-29T12:00:00Z");
const DAY_MS = 86_400_000;

async function managing(): Promise<{ server: ServerUnderTest; clock: ManualClock }> {
  const clock = new ManualClock(START_MS);
  return { clock, server: await openServer({ clock, managesTokens: true }) };
}

async function callerOf(server: ServerUnderTest, token: string): Promise<Caller> {
  const caller = await server.services.authenticator.authenticate(`Bearer ${token}`);
  if (caller instanceof Error) throw caller;
  return caller;
}

async function add(server: ServerUnderTest, body: object, token = server.gp) {
  return await server.call("POST", "/v1/tokens", { token, body });
}

describe("/v1/tokens", () => {
  test("adds a token, shows it once, lists it with its last use, and revokes it at once", async () => {
    const { server, clock } = await managing();
    await using _ = server;
    const added = await add(server, { name: "grafana", role: "viewer", expires_at: "2026-12-01T00:00:00Z" });
    expect([added.status, added.headers.get("cache-control")]).toEqual([201, "no-store"]);
    const { token, ...shown } = added.body;
    expect(shown).toMatchObject({
      name: "grafana",
      role: "viewer",
      agents: null,
      verbs: null,
      created_by: "platform",
      expires_at: "2026-12-01T00:00:00.000Z",
      last_used_at: null,
    });
    expect((await server.call("GET", "/v1/agents", { token })).status).toBe(200);
    const list = async () => (await server.call("GET", "/v1/tokens")).body.tokens;
    const [, grafana, platform] = await list();
    expect(grafana).toEqual({ ...shown, last_used_at: "2026-11-29T12:00:00.000Z" });
    expect(platform).toMatchObject({ name: "platform", created_by: null });
    expect(JSON.stringify(await list())).not.toContain(token);
    await clock.advance(90_000);
    await server.call("GET", "/v1/agents", { token });
    expect((await list())[1].last_used_at).toBe("2026-11-29T12:01:30.000Z");
    expect((await server.call("DELETE", "/v1/tokens/grafana")).status).toBe(204);
    expect((await server.call("GET", "/v1/agents", { token })).status).toBe(401);
    expect((await server.call("DELETE", "/v1/tokens/grafana")).status).toBe(404);
  });

  test("changes nothing for a token that was revoked while its body was on the way", async () => {
    const { server } = await managing();
    await using _ = server;
    const stolen = server.tokens.add("ops", "gp");
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const text = new TextEncoder().encode(JSON.stringify({ name: "kept", role: "gp" }));
    const asked = server.call("POST", "/v1/tokens", { token: stolen, body: readable });
    await writer.write(text.subarray(0, 10));
    server.tokens.revoke("ops");
    server.tokens.add("ops", "gp");
    await writer.write(text.subarray(10));
    await writer.close();
    expect((await asked).status).toBe(401);
    expect(server.tokens.list().map(({ name }) => name)).not.toContain("kept");
  });

  test("of the role mirror has no agents and no verbs, and comes from a token without limits", async () => {
    const { server } = await managing();
    await using _ = server;
    expect((await add(server, { name: "box", role: "mirror" })).status).toBe(201);
    expect((await add(server, { name: "box-2", role: "mirror", agents: ["gpu-1"] })).status).toBe(400);
    expect((await add(server, { name: "box-2", role: "mirror", verbs: ["list_models"] })).status).toBe(400);
    const scoped = server.tokens.add("scoped", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    expect((await add(server, { name: "box-2", role: "mirror" }, scoped)).status).toBe(400);
  });

  test("is in the audit, without the token", async () => {
    const { server } = await managing();
    await using _ = server;
    const { body } = await add(server, { name: "grafana", role: "viewer" });
    await server.call("DELETE", "/v1/tokens/grafana");
    const entries = server.services.audit.read({}, { limit: 10 });
    expect(entries).toMatchObject([
      { request: "DELETE /v1/tokens/grafana", who: "platform", outcome: "ok" },
      { request: "POST /v1/tokens", who: "platform", outcome: "ok", details: '{"name":"grafana","role":"viewer"}' },
    ]);
    expect(JSON.stringify(entries)).not.toContain(body.token);
  });

  test("is closed without --manage-tokens, and to all but own tokens of the role gp that may use every verb", async () => {
    const ask = async (server: ServerUnderTest, token: string): Promise<number[]> => [
      (await server.call("GET", "/v1/tokens", { token })).status,
      (await add(server, { name: "new", role: "viewer" }, token)).status,
      (await server.call("DELETE", "/v1/tokens/dashboard", { token })).status,
    ];
    const closed = [403, 403, 403];
    await using off = await openServer();
    expect(await ask(off, off.gp)).toEqual(closed);
    const clock = new ManualClock(START_MS);
    const platform = new SimulatedPlatform({ users: { ada: "admin" }, clock });
    const login = await openLogin(
      { authIntrospect: platform.whoAmI, authRole: ["gp=admin"] },
      { clock, log: new ListLog() },
    );
    await using server = await openServer({ clock, login, managesTokens: true });
    const limits = { expiresAtMs: null, agents: null, verbs: ["list_jobs", "pull_model"] as const };
    const puller = server.tokens.add("puller", "gp", limits);
    for (const token of [server.viewer, puller, platform.login("ada")])
      expect(await ask(server, token)).toEqual(closed);
    await platform.stop();
    expect(server.tokens.list().map(({ name }) => name)).toEqual(["dashboard", "platform", "puller"]);
  });

  test("gives no token more than the one that adds it has", async () => {
    const { server, clock } = await managing();
    await using _ = server;
    const limits = { expiresAtMs: clock.now() + DAY_MS, agents: ["gpu-1", "gpu-2"], verbs: null };
    const berlin = server.tokens.add("berlin", "gp", limits);
    const end = "2026-11-30T12:00:00.000Z";
    for (const wider of [
      { agents: null },
      { agents: ["gpu-3"] },
      { agents: ["gpu-1", "gpu-3"] },
      { expires_at: null },
      { expires_at: "2026-11-30T12:00:00.001Z" },
    ]) {
      const { status } = await add(server, { name: "wider", role: "viewer", ...wider }, berlin);
      expect([wider, status]).toEqual([wider, 403]);
    }
    const same = await add(server, { name: "same", role: "gp" }, berlin);
    expect(same.body).toMatchObject({ agents: ["gpu-1", "gpu-2"], verbs: null, expires_at: end });
    const narrow = { name: "narrow", role: "gp", agents: ["gpu-2"], verbs: ["list_models"], expires_at: end };
    expect((await add(server, narrow, berlin)).status).toBe(201);
  });

  test("shows and revokes only what the caller could have added", async () => {
    const { server, clock } = await managing();
    await using _ = server;
    const scoped = { expiresAtMs: clock.now() + DAY_MS, agents: ["gpu-1"], verbs: null };
    const berlin = server.tokens.add("berlin", "gp", scoped);
    server.tokens.add("endless", "viewer", { ...scoped, expiresAtMs: null });
    server.tokens.add("rome", "viewer", { ...scoped, agents: ["gpu-2"] });
    const { body } = await server.call("GET", "/v1/tokens", { token: berlin });
    expect(body.tokens.map(({ name }: { name: string }) => name)).toEqual(["berlin", "endless"]);
    const revoke = async (name: string): Promise<number> =>
      (await server.call("DELETE", `/v1/tokens/${name}`, { token: berlin })).status;
    expect([await revoke("platform"), await revoke("rome"), await revoke("nobody"), await revoke("endless")]).toEqual([
      404, 404, 404, 403,
    ]);
    expect(await revoke("berlin")).toBe(204);
  });

  test("asks the store as often for many tokens as for a few", async () => {
    const { server } = await managing();
    await using _ = server;
    const { database } = server;
    const insert = database.query(
      "INSERT INTO tokens VALUES (?, 'viewer', randomblob(32), '2026-01-01T00:00:00.000Z')",
    );
    const fill = database.transaction((from: number, to: number) => {
      for (let number = from; number < to; number++) insert.run(`t${number}`);
    });
    const query = database.query.bind(database);
    let asked = 0;
    const counting: typeof query = (sql) => {
      asked += 1;
      return query(sql);
    };
    database.query = counting;
    const askedFor = async (): Promise<number> => {
      asked = 0;
      expect((await server.call("GET", "/v1/tokens")).status).toBe(200);
      return asked;
    };
    fill(0, 3);
    const few = await askedFor();
    fill(3, 300);
    expect(await askedFor()).toBeLessThanOrEqual(few);
    expect(few).toBeGreaterThan(0);
  });

  test("gives a token with limits no more requests and listeners by the tokens that it adds", async () => {
    const { server, clock } = await managing();
    await using _ = server;
    const berlin = server.tokens.add("berlin", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    const child = (await add(server, { name: "child", role: "gp" }, berlin)).body.token;
    const grandchild = (await add(server, { name: "grandchild", role: "viewer" }, child)).body.token;
    await clock.advance(2_500);
    const statusOf = async (token: string) => (await server.call("GET", "/v1/agents", { token })).status;
    for (let count = 0; count < 25; count++)
      expect([await statusOf(child), await statusOf(grandchild)]).toEqual([200, 200]);
    expect([await statusOf(berlin), await statusOf(child), await statusOf(grandchild)]).toEqual([429, 429, 429]);
    const { listeners } = server.services;
    for (let count = 0; count < MAX_VIEWER_LISTENERS; count++) listeners.add(await callerOf(server, grandchild));
    for (const token of [berlin, child]) expect(listeners.refusal(await callerOf(server, token))).toContain("100");
  });

  test("gives each token that one without limits adds its own requests and listeners: they are for others", async () => {
    const { server } = await managing();
    await using _ = server;
    const [first, second] = [
      (await add(server, { name: "first", role: "viewer" })).body.token,
      (await add(server, { name: "second", role: "viewer" })).body.token,
    ];
    const statusOf = async (token: string) => (await server.call("GET", "/v1/agents", { token })).status;
    for (let count = 0; count < 50; count++) await statusOf(first);
    expect([await statusOf(first), await statusOf(second)]).toEqual([429, 200]);
  });

  test("adds 100 tokens for one creator, with those that these add, and the next one when one is revoked", async () => {
    const { server } = await managing();
    await using _ = server;
    const child = (await add(server, { name: "child", role: "gp" })).body.token;
    for (let count = 1; count < MOST_ADDED_TOKENS; count++)
      expect((await add(server, { name: `t${count}`, role: "viewer" }, count % 2 ? child : server.gp)).status).toBe(
        201,
      );
    const { status, body } = await add(server, { name: "more", role: "viewer" }, child);
    expect([status, body.code]).toEqual([409, "conflict"]);
    expect(body.detail).toContain("100");
    expect(body.hint).toContain("Revoke");
    expect((await add(server, { name: "more", role: "viewer" })).status).toBe(409);
    server.tokens.add("local", "viewer");
    await server.call("DELETE", "/v1/tokens/t1");
    expect((await add(server, { name: "more", role: "viewer" })).status).toBe(201);
  });

  test("gives a token no more of the audit by the tokens that it adds", async () => {
    const { server } = await managing();
    await using _ = server;
    const child = (await add(server, { name: "child", role: "gp" })).body.token;
    const grandchild = (await add(server, { name: "grandchild", role: "viewer" }, child)).body.token;
    await server.call("POST", "/v1/jobs", { token: grandchild, body: {} });
    await server.call("POST", "/v1/jobs", { token: server.viewer, body: {} });
    const rows = server.database
      .query<{ who: string; account: string }, []>("SELECT who, account FROM audit ORDER BY number")
      .all();
    expect(rows.map(({ who }) => who)).toEqual(["platform", "child", "grandchild", "dashboard"]);
    expect(new Set(rows.slice(0, 3).map(({ account }) => account)).size).toBe(1);
    expect(rows[3]?.account).not.toBe(rows[0]?.account);
  });

  test("counts the end of the token, not that of the session that uses it", async () => {
    const { server } = await managing();
    await using _ = server;
    const { cookie, body } = await signIn(server, { token: server.gp });
    expect(body.may.manage_tokens).toBe(true);
    const headers = { ...OWN_PAGE, cookie };
    const added = await server.call("POST", "/v1/tokens", { token: null, headers, body: { name: "new", role: "gp" } });
    expect([added.status, added.body.expires_at]).toEqual([201, null]);
  });

  test("refuses names, ends and verbs that a token cannot have", async () => {
    const { server } = await managing();
    await using _ = server;
    for (const [body, status] of [
      [{ name: "-", role: "gp" }, 400],
      [{ name: "dashboard", role: "gp" }, 409],
      [{ name: "new", role: "admin" }, 400],
      [{ name: "new", role: "gp", agents: [] }, 400],
      [{ name: "new", role: "gp", expires_at: "2026-11-29T11:59:59Z" }, 400],
      [{ name: "new", role: "gp", expires_at: "tomorrow" }, 400],
      [{ name: "new", role: "viewer", verbs: ["pull_model"] }, 400],
      [{ name: "new", role: "gp", verbs: ["ping"] }, 400],
      [{ name: "new", role: "gp", admin: true }, 400],
    ] as const)
      expect([body, (await add(server, body)).status]).toEqual([body, status]);
  });
});
