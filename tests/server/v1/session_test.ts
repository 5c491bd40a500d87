// Sessions over HTTP: signing in and out, what a session shows, and when it ends.
import { describe, expect, test } from "bun:test";
import { SimulatedPlatform } from "#sim/platform/platform.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import { CODE_LIFETIME_MS } from "#src/server/access/sessions/link_command.ts";
import { hashOf } from "#src/server/access/sessions/secret.ts";
import { SESSION_LIFETIME_MS, Sessions } from "#src/server/access/sessions/sessions.ts";
import { StoredSessions } from "#src/server/store/sessions.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ListLog } from "#tests/server/access/login/harness.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OWN_PAGE, signIn, statusWith } from "#tests/support/sites/browser_session.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const START_MS = Date.parse("2026-11-29T12:00:00Z");

/** Everything in the tables, as text. */
function stored({ database }: ServerUnderTest): string {
  const tables = database.query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  const rows = tables.flatMap(({ name }) => database.query<Record<string, unknown>, []>(`SELECT * FROM ${name}`).all());
  const values = rows.flatMap((row) => Object.values(row));
  return values
    .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value)))
    .join();
}

/** Of a sign-in link for the viewer. */
function addCode(server: ServerUnderTest, code: string): void {
  const nowMs = server.services.clock.now();
  const times = { nowMs, expiresAtMs: nowMs + CODE_LIFETIME_MS };
  new StoredSessions(server.database).addCode(hashOf(code), server.tokens.hashNamed("dashboard"), times);
}

describe("POST /v1/session", () => {
  test("sets a cookie that no script reads and no other site sends, and shows what its caller may do", async () => {
    await using server = await openServer({ clock: new ManualClock(START_MS) });
    const { status, headers, body } = await signIn(server, { token: server.viewer });
    expect(status).toBe(200);
    expect(headers.get("set-cookie")).toMatch(
      /^gpu-courier-8001=gpuc_session_[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(body).toMatchObject({
      name: "dashboard",
      way: "token",
      role: "viewer",
      scope: { agents: null, verbs: null },
      expires_at: "2026-11-30T00:00:00.000Z",
      may: {
        change: false,
        list_models: true,
        pull_model: false,
        read_audit: false,
        manage_tokens: false,
        examine: true,
      },
    });
  });

  test("shows the limits of a token, and what they leave", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock });
    const limits = { expiresAtMs: START_MS + 60_000, agents: ["gpu-1"], verbs: ["list_jobs", "cancel_job"] } as const;
    const { headers, body } = await signIn(server, { token: server.tokens.add("night", "gp", limits) });
    expect(headers.get("set-cookie")).toContain("Max-Age=60;");
    expect(body).toMatchObject({
      scope: { agents: ["gpu-1"], verbs: ["list_jobs", "cancel_job"] },
      expires_at: "2026-11-29T12:01:00.000Z",
      may: { change: true, cancel_job: true, pull_model: false, set_active_models: false, examine: false },
    });
  });

  test("refuses a wrong token or code with 401, which the log counts, and another body before it looks at either", async () => {
    const log = new ListLog();
    await using server = await openServer({ log });
    const statusOf = async (body: unknown, headers = OWN_PAGE): Promise<number> =>
      (await server.call("POST", "/v1/session", { token: null, headers, body })).status;
    expect(await statusOf({ token: "gpuc_wrong" })).toBe(401);
    expect(log.text).toContain("Refused a request without a valid token");
    expect(await statusOf({ code: "gpuc_code_wrong" })).toBe(401);
    for (const body of [{}, { token: server.gp, code: "gpuc_code_wrong" }, { token: "two words" }])
      expect(await statusOf(body)).toBe(400);
    expect(await statusOf("token=1", { ...OWN_PAGE, "content-type": "application/x-www-form-urlencoded" })).toBe(415);
    expect(await statusOf({ token: "x".repeat(70_000) })).toBe(413);
    expect(log.text).not.toContain("gpuc_wrong");
  });

  test("is asked for by a browser that is not signed in yet without a line in the log", async () => {
    const log = new ListLog();
    await using server = await openServer({ log });
    expect((await server.call("GET", "/v1/session", { token: null, headers: OWN_PAGE })).status).toBe(401);
    expect(log.text).not.toContain("without a valid token");
    await server.call("GET", "/v1/session", { token: "gpuc_wrong", headers: OWN_PAGE });
    expect(log.text).toContain("without a valid token");
  });

  test("stores neither the cookie nor the token, and no log or audit has them", async () => {
    const log = new ListLog();
    await using server = await openServer({ log });
    const { cookie } = await signIn(server, { token: server.gp });
    await server.call("POST", "/v1/jobs", { token: null, headers: { ...OWN_PAGE, cookie }, body: {} });
    const secret = cookie.slice(cookie.indexOf("=") + 1);
    for (const text of [stored(server), log.text, JSON.stringify(server.services.audit.read({}, { limit: 100 }))])
      for (const hidden of [secret, server.gp]) expect(text).not.toContain(hidden);
    expect(stored(server)).toContain(Buffer.from(hashOf(secret)).toString("latin1"));
  });

  test("gives a caller 20 sessions: the next one ends its oldest, and nobody else's", async () => {
    await using server = await openServer();
    const other = await signIn(server, { token: server.viewer });
    const cookies: string[] = [];
    for (let count = 0; count < 21; count++) cookies.push((await signIn(server, { token: server.gp })).cookie);
    const statuses = await Promise.all(
      [other.cookie, ...cookies].map(async (cookie) => await statusWith(server, cookie)),
    );
    expect(statuses).toEqual([200, 401, ...Array.from({ length: 20 }, () => 200)]);
  });

  test("holds a viewer to its rate", async () => {
    await using server = await openServer({ clock: new ManualClock(START_MS) });
    const statuses: number[] = [];
    for (let count = 0; count < 51; count++) statuses.push((await signIn(server, { token: server.viewer })).status);
    expect(statuses).toEqual([...Array.from({ length: 50 }, () => 200), 429]);
  });
});

describe("a session", () => {
  test("lets its browser in as its token does, until it signs out", async () => {
    await using server = await openServer();
    const { cookie } = await signIn(server, { token: server.viewer });
    expect([await statusWith(server, cookie), await statusWith(server, cookie, ["POST", "/v1/jobs"])]).toEqual([
      200, 403,
    ]);
    const shown = await server.call("GET", "/v1/session", { token: null, headers: { ...OWN_PAGE, cookie } });
    expect([shown.status, shown.body.name]).toEqual([200, "dashboard"]);
    const out = await server.call("DELETE", "/v1/session", { token: null, headers: { ...OWN_PAGE, cookie } });
    expect([out.status, out.headers.get("set-cookie")]).toEqual([
      204,
      "gpu-courier-8001=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict",
    ]);
    expect(await statusWith(server, cookie)).toBe(401);
  });

  test("is replaced when its browser signs in again, and stays when that fails", async () => {
    await using server = await openServer();
    const { cookie } = await signIn(server, { token: server.viewer });
    const headers = { ...OWN_PAGE, cookie };
    expect((await signIn(server, { token: "gpuc_wrong" }, headers)).status).toBe(401);
    expect(await statusWith(server, cookie)).toBe(200);
    const next = await signIn(server, { token: server.gp }, headers);
    expect([await statusWith(server, cookie), await statusWith(server, next.cookie)]).toEqual([401, 200]);
  });

  test("ends after 12 h, and with its token, also when another token gets its name", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock });
    const [kept, revoked] = [
      await signIn(server, { token: server.gp }),
      await signIn(server, { token: server.viewer }),
    ];
    server.tokens.revoke("dashboard");
    server.tokens.add("dashboard", "viewer");
    expect([await statusWith(server, kept.cookie), await statusWith(server, revoked.cookie)]).toEqual([200, 401]);
    await clock.advance(SESSION_LIFETIME_MS - 1);
    expect(await statusWith(server, kept.cookie)).toBe(200);
    await clock.advance(1);
    expect(await statusWith(server, kept.cookie)).toBe(401);
  });

  test("is begun once by the code of a sign-in link, within 5 minutes", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock });
    const store = new StoredSessions(server.database);
    const codes = ["gpuc_code_first", "gpuc_code_late"];
    const times = { nowMs: clock.now(), expiresAtMs: clock.now() + CODE_LIFETIME_MS };
    for (const code of codes) store.addCode(hashOf(code), server.tokens.hashNamed("dashboard"), times);
    const { body, cookie } = await signIn(server, { code: codes[0] });
    expect([body.name, await statusWith(server, cookie)]).toEqual(["dashboard", 200]);
    await clock.advance(CODE_LIFETIME_MS);
    for (const code of codes) expect((await signIn(server, { code })).status).toBe(401);
  });

  test("is begun by a link that a request over the rate, or too many sessions, did not use up", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock });
    addCode(server, "gpuc_code_x");
    while ((await signIn(server, { token: server.viewer })).status !== 429);
    expect((await signIn(server, { code: "gpuc_code_x" })).status).toBe(429);
    await clock.advance(1_000);
    const fill = server.database.query(
      `WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 10000)
       INSERT INTO sessions (hash, owner, expires_at_ms) SELECT randomblob(32), number, ? FROM numbers`,
    );
    fill.run(START_MS + CODE_LIFETIME_MS);
    expect((await signIn(server, { code: "gpuc_code_x" })).body.detail).toContain("Too many sessions");
    server.database.run("DELETE FROM sessions");
    await clock.advance(1_000);
    expect((await signIn(server, { code: "gpuc_code_x" })).status).toBe(200);
    expect((await signIn(server, { code: "gpuc_code_x" })).status).toBe(401);
  });

  test("is not replaced by a link of somebody else, which stays usable", async () => {
    await using server = await openServer();
    const { cookie } = await signIn(server, { token: server.gp });
    const headers = { ...OWN_PAGE, cookie };
    addCode(server, "gpuc_code_x");
    const { status, body, cookie: set } = await signIn(server, { code: "gpuc_code_x" }, headers);
    expect([status, body.code, set]).toEqual([409, "conflict", ""]);
    expect(body.detail).toContain('signed in as "platform"');
    expect(await statusWith(server, cookie)).toBe(200);
    await server.call("DELETE", "/v1/session", { token: null, headers });
    const next = await signIn(server, { code: "gpuc_code_x" }, headers);
    expect([next.status, next.body.name]).toEqual([200, "dashboard"]);
    addCode(server, "gpuc_code_y");
    expect((await signIn(server, { code: "gpuc_code_y" }, { ...OWN_PAGE, cookie: next.cookie })).status).toBe(200);
    expect(await statusWith(server, next.cookie)).toBe(401);
  });

  test("is its token in the audit", async () => {
    await using server = await openServer();
    const { cookie } = await signIn(server, { token: server.viewer });
    await statusWith(server, cookie, ["POST", "/v1/jobs"]);
    const entries = server.services.audit.read({}, { limit: 10 });
    expect(entries).toMatchObject([{ request: "POST /v1/jobs", who: "dashboard", way: "token", outcome: "forbidden" }]);
  });

  test("of a user of the platform is sealed, goes on after a restart, and ends when the platform refuses the token", async () => {
    const clock = new ManualClock(START_MS);
    const log = new ListLog();
    const platform = new SimulatedPlatform({ users: { ada: "admin" }, clock });
    const login = await openLogin({ authIntrospect: platform.whoAmI, authRole: ["gp=admin"] }, { clock, log });
    await using server = await openServer({ clock, log, login });
    const token = platform.login("ada");
    const { body, cookie } = await signIn(server, { token });
    expect(body).toMatchObject({ name: "user:ada", way: "introspection", may: { change: true, manage_tokens: false } });
    expect([stored(server).includes(token), log.text.includes(token)]).toEqual([false, false]);
    const session = cookie.slice(cookie.indexOf("=") + 1);
    const restarted = new Sessions({ store: new StoredSessions(server.database), tokens: server.tokens, clock });
    expect(restarted.open({ session })).toMatchObject({ token });
    expect(await statusWith(server, cookie)).toBe(200);
    platform.revoke(token);
    await clock.advance(30_000);
    expect(await statusWith(server, cookie)).toBe(401);
    await platform.stop();
  });
});

function endOf(stream: Response): { readonly isReached: boolean } {
  const end = { isReached: false };
  const read = async (): Promise<void> => {
    await stream.text();
    end.isReached = true;
  };
  void read();
  return end;
}

describe("an event stream of a session", () => {
  test.each([
    [
      "its browser signs out",
      async (server, headers) => void (await server.call("DELETE", "/v1/session", { token: null, headers })),
    ],
    ["its token is revoked", async (server) => server.tokens.revoke("dashboard")],
  ] satisfies readonly (readonly [
    string,
    (server: ServerUnderTest, headers: Record<string, string>) => Promise<void>,
  ])[])("ends within 5 s when %s", async (_, end) => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock, store: new MemoryStore(clock) });
    const headers = { ...OWN_PAGE, cookie: (await signIn(server, { token: server.viewer })).cookie };
    const stream = await server.request("GET", "/v1/events", { token: null, headers });
    expect(stream.status).toBe(200);
    const over = endOf(stream);
    await end(server, headers);
    await passes(clock, 1_000, () => over.isReached);
    expect(clock.now() - START_MS).toBeLessThanOrEqual(10_000);
  });

  test("ends with the session after 12 h", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock, store: new MemoryStore(clock) });
    const headers = { ...OWN_PAGE, cookie: (await signIn(server, { token: server.viewer })).cookie };
    await clock.advance(SESSION_LIFETIME_MS - 10_000);
    const over = endOf(await server.request("GET", "/v1/events", { token: null, headers }));
    await clock.advance(9_000);
    expect(over.isReached).toBe(false);
    await passes(clock, 500, () => over.isReached);
    expect(clock.now() - START_MS).toBeLessThanOrEqual(SESSION_LIFETIME_MS + 5_000);
  });
});
