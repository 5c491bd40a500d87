// For which requests the cookie of a session counts, with the headers as browsers send them, and forged by hand.
import { describe, expect, test } from "bun:test";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { HOST, OWN_PAGE, signIn, statusWith } from "#tests/support/sites/browser_session.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const PUBLIC = "https://gpu.example.org";
const OWN = `http://${HOST}`;

type Headers = Readonly<Record<string, string>>;

/** Of requests that do not come from a page of this server. */
const FOREIGN: Readonly<Record<string, Headers>> = {
  "another site": { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
  "another site, of a browser that says no more": { origin: "https://evil.example" },
  "another port of the host": { origin: "http://127.0.0.1:9999", "sec-fetch-site": "same-site" },
  "another port of the host, by an image": { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" },
  "another site, by a link or an image": { "sec-fetch-site": "cross-site" },
  "a page without an origin": { origin: "null", "sec-fetch-site": "cross-site" },
  "the same host over TLS": { origin: `https://${HOST}` },
  "the same address by another name": { origin: "http://localhost:8001" },
  "a name that begins alike": { origin: `${OWN}.evil.example` },
  "two origins": { origin: `${OWN}, https://evil.example` },
  "its own page, if the browser says otherwise": { origin: OWN, "sec-fetch-site": "cross-site" },
  "a page with an unknown relation": { origin: OWN, "sec-fetch-site": "something-new" },
};
const OWN_REQUESTS: Readonly<Record<string, Headers>> = {
  "its own page": OWN_PAGE,
  "its own page, by GET": { "sec-fetch-site": "same-origin" },
  "the address bar": { "sec-fetch-site": "none" },
  "an old browser or a program": {},
};
const ROUTES = [
  ["GET", "/v1/agents"],
  ["HEAD", "/v1/agents"],
  ["GET", "/v1/session"],
  ["GET", "/v1/events"],
  ["HEAD", "/v1/events"],
  ["GET", "/api/models"],
  ["POST", "/v1/jobs"],
  ["POST", "/v1/tickets"],
  ["DELETE", "/v1/agents/gpu-1/models/phi4"],
  ["DELETE", "/api/models/phi4"],
] as const;

describe("a session's cookie", () => {
  test.each(Object.entries(FOREIGN))(
    "does not count for a request from %s, whatever its method",
    async (_, headers) => {
      await using server = await openServer();
      const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
      const { cookie } = await signIn(server, { token: server.gp });
      for (const route of ROUTES)
        expect([route, await statusWith(server, cookie, [...route], { host: HOST, ...headers })]).toEqual([route, 401]);
      expect(agent.commands).toEqual([]);
    },
  );

  test.each(Object.entries(OWN_REQUESTS))("counts for a request from %s", async (_, headers) => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
    const { cookie } = await signIn(server, { token: server.gp });
    for (const route of ROUTES)
      expect([route, await statusWith(server, cookie, [...route], { host: HOST, ...headers })]).not.toEqual([
        route,
        401,
      ]);
  });

  test.each(Object.entries(FOREIGN))("is neither set nor ended for %s", async (_, headers) => {
    await using server = await openServer();
    const { cookie } = await signIn(server, { token: server.gp });
    const forged = { host: HOST, ...headers };
    const signedIn = await server.call("POST", "/v1/session", {
      token: null,
      headers: forged,
      body: { token: server.gp },
    });
    const out = await server.call("DELETE", "/v1/session", { token: null, headers: { ...forged, cookie } });
    for (const { status, headers: sent } of [signedIn, out])
      expect([status, sent.get("set-cookie")]).toEqual([403, null]);
    expect(await statusWith(server, cookie)).toBe(200);
  });

  test("does not count for a page that --cors-origin names, which gets no credentials and no cookie", async () => {
    const page = "https://dash.example.org";
    await using server = await openServer({ corsOrigins: [page, OWN] });
    const { cookie } = await signIn(server, { token: server.gp }, { host: HOST });
    for (const origin of [page, OWN]) {
      const response = await server.request("GET", "/v1/agents", {
        token: null,
        headers: { host: HOST, origin, cookie },
      });
      expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([401, origin]);
      expect(response.headers.has("access-control-allow-credentials")).toBe(false);
      const signedIn = await signIn(server, { token: server.gp }, { host: HOST, origin });
      expect([signedIn.status, signedIn.cookie]).toEqual([403, ""]);
    }
  });

  test("is bound to TLS and the host behind --public-url, whose origin alone counts then", async () => {
    await using server = await openServer({ publicUrl: new URL(`${PUBLIC}/gpu/`), clock: new ManualClock(0) });
    const own = { host: HOST, origin: PUBLIC, "sec-fetch-site": "same-origin" };
    const { headers, cookie } = await signIn(server, { token: server.gp }, own);
    expect(headers.get("set-cookie")).toMatch(
      /^__Host-gpu-courier=gpuc_session_[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
    expect(await statusWith(server, cookie, ["POST", "/v1/tickets"], own)).toBe(201);
    expect(await statusWith(server, cookie, ["POST", "/v1/tickets"])).toBe(401);
    const unbound = cookie.replace("__Host-", "");
    expect(await statusWith(server, unbound, ["POST", "/v1/tickets"], own)).toBe(401);
    expect((await signIn(server, { token: server.gp })).status).toBe(403);
    const out = await server.call("DELETE", "/v1/session", { token: null, headers: { ...own, cookie } });
    expect(out.headers.get("set-cookie")).toBe(
      "__Host-gpu-courier=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict",
    );
  });

  test("does not help a wrong token, and opens nothing as a token", async () => {
    await using server = await openServer();
    const { cookie } = await signIn(server, { token: server.gp });
    const secret = cookie.slice(cookie.indexOf("=") + 1);
    const statusOf = async (authorization: string, headers: Headers = OWN_PAGE): Promise<number> =>
      (await server.call("GET", "/v1/agents", { token: null, headers: { ...headers, authorization } })).status;
    expect(await statusOf("Bearer gpuc_wrong", { ...OWN_PAGE, cookie })).toBe(401);
    for (const header of [`Bearer ${secret}`, `Session ${secret}`, secret]) expect(await statusOf(header)).toBe(401);
    expect((await server.call("GET", `/v1/events?ticket=${secret}`, { token: null })).status).toBe(401);
  });

  test("of a viewer changes nothing, by any route", async () => {
    const clock = new ManualClock();
    await using server = await openServer({ managesTokens: true, clock });
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
    const { cookie } = await signIn(server, { token: server.viewer });
    const harmless = ["POST /v1/session", "DELETE /v1/session", "POST /v1/tickets", "POST /v1/agents/:agent/ping"];
    const changing = server.routes.filter((route) => !route.startsWith("GET") && !harmless.includes(route));
    expect(changing.length).toBeGreaterThanOrEqual(11);
    const before = agent.commands.length;
    for (const route of changing) {
      const [method = "", path = ""] = route.split(" ");
      // A viewer may not ask more often.
      await clock.advance(100);
      const status = await statusWith(server, cookie, [method, path.replaceAll(/:\w+(\{[^}]*\})?/g, "gpu-1")]);
      // The routes of Ollama's clients take no session at all.
      expect([route, status]).toEqual([route, path.startsWith("/agents/") ? 401 : 403]);
    }
    expect(agent.commands.slice(before)).toEqual([]);
  });

  test("means nothing without the console, and on the listener without tokens", async () => {
    await using server = await openServer();
    const { cookie } = await signIn(server, { token: server.gp });
    expect((await server.callTrusted("GET", "/v1/session", { headers: { cookie } })).status).toBe(404);
    const inBrowser = { headers: { cookie, "sec-fetch-site": "same-origin" } };
    expect((await server.callTrusted("GET", "/api/models", inBrowser)).status).toBe(403);
    await using without = await openServer({ console: false });
    expect((await without.call("POST", "/v1/session", { headers: OWN_PAGE, body: { token: without.gp } })).status).toBe(
      404,
    );
    expect((await without.call("GET", "/v1/session")).status).toBe(404);
    expect(await statusWith(without, cookie)).toBe(401);
    const { body } = await without.call("GET", "/openapi.json", { token: null });
    expect(Object.keys(body.paths)).not.toContain("/v1/session");
  });
});
