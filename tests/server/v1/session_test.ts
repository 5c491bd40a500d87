// Sessions over HTTP: signing in and out, for which requests a cookie counts, and when a session ends.
import { describe, expect, test } from "bun:test";
import { CODE_LIFETIME_MS } from "#src/server/access/sessions/link_command.ts";
import { hashOf } from "#src/server/access/sessions/secret.ts";
import { SESSION_LIFETIME_MS } from "#src/server/access/sessions/sessions.ts";
import { StoredSessions } from "#src/server/store/sessions.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const START_MS = Date.parse("2026-11-29T12:00:00Z");
const HOST = "127.0.0.1:8001";
const OWN = { host: HOST, origin: `http://${HOST}`, "sec-fetch-site": "same-origin" };

/** Signs in as the page does. @returns the cookie as a browser sends it back */
async function signIn(server: ServerUnderTest, body: object, headers: Record<string, string> = OWN): Promise<string> {
  const answer = await server.call("POST", "/v1/session", { token: null, headers, body });
  expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
  return (answer.headers.get("set-cookie") ?? "").split(";", 1)[0] ?? "";
}

async function statusWith(
  server: ServerUnderTest,
  cookie: string,
  headers: Record<string, string> = OWN,
): Promise<number> {
  return (await server.call("GET", "/v1/agents", { token: null, headers: { ...headers, cookie } })).status;
}

describe("POST /v1/session", () => {
  test("sets a cookie that no script reads and no other site sends, and shows what its caller may do", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock });
    const { status, headers, body } = await server.call("POST", "/v1/session", {
      token: null,
      headers: OWN,
      body: { token: server.viewer },
    });
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

  test("takes a token in its body only, and refuses a wrong one as every route does", async () => {
    await using server = await openServer();
    const ask = async (body: unknown, headers = OWN): Promise<number> =>
      (await server.call("POST", "/v1/session", { token: null, headers, body })).status;
    expect(await ask({ token: "gpuc_wrong" })).toBe(401);
    expect(await ask({ code: "gpuc_code_wrong" })).toBe(401);
    expect(await ask({})).toBe(400);
    expect(await ask({ token: server.gp, code: "gpuc_code_wrong" })).toBe(400);
    expect(await ask("token=1", { ...OWN, "content-type": "text/plain" } as typeof OWN)).toBe(415);
    expect((await server.call("POST", "/v1/session", { token: server.gp, headers: OWN, body: {} })).status).toBe(400);
  });
});

describe("a session", () => {
  test("lets its browser in as its token does, until it signs out", async () => {
    await using server = await openServer();
    const cookie = await signIn(server, { token: server.viewer });
    expect(await statusWith(server, cookie)).toBe(200);
    const shown = await server.call("GET", "/v1/session", { token: null, headers: { ...OWN, cookie } });
    expect([shown.status, shown.body.name]).toEqual([200, "dashboard"]);
    const out = await server.call("DELETE", "/v1/session", { token: null, headers: { ...OWN, cookie } });
    expect([out.status, out.headers.get("set-cookie")]).toEqual([204, expect.stringContaining("Max-Age=0")]);
    expect(await statusWith(server, cookie)).toBe(401);
  });

  test("ends after 12 h, and with its token", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock });
    const [kept, revoked] = [
      await signIn(server, { token: server.gp }),
      await signIn(server, { token: server.viewer }),
    ];
    server.tokens.revoke("dashboard");
    expect([await statusWith(server, kept), await statusWith(server, revoked)]).toEqual([200, 401]);
    await clock.advance(SESSION_LIFETIME_MS - 1);
    expect(await statusWith(server, kept)).toBe(200);
    await clock.advance(1);
    expect(await statusWith(server, kept)).toBe(401);
  });

  test("is begun once by the code of a sign-in link, within 5 minutes", async () => {
    const clock = new ManualClock(START_MS);
    await using server = await openServer({ clock });
    const store = new StoredSessions(server.database);
    const codes = ["gpuc_code_first", "gpuc_code_late"];
    const expiresAtMs = clock.now() + CODE_LIFETIME_MS;
    for (const code of codes)
      store.addCode(hashOf(code), server.tokens.hashNamed("dashboard"), { nowMs: clock.now(), expiresAtMs });
    const cookie = await signIn(server, { code: codes[0] });
    expect(await statusWith(server, cookie)).toBe(200);
    await clock.advance(CODE_LIFETIME_MS);
    for (const code of codes) {
      const { status } = await server.call("POST", "/v1/session", { token: null, headers: OWN, body: { code } });
      expect([code, status]).toEqual([code, 401]);
    }
  });
});
