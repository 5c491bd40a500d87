// Which web pages of other origins may use the API, as the headers show it to a browser.
import { describe, expect, test } from "bun:test";
import { originOf } from "#src/server/http/guard/cross_origin.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const PAGE = "https://dash.example.org";
const OTHER = "https://elsewhere.example";
const preflight = (origin: string) => ({
  token: null,
  headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
});

function corsHeaders({ headers }: { readonly headers: Headers }): string[] {
  return [...headers.keys()].filter((name) => name.startsWith("access-control-"));
}

describe("allowOrigins()", () => {
  test("answers a preflight request of a named origin without a token", async () => {
    await using server = await openServer({ corsOrigins: ["https://first.example", PAGE] });
    const { status, headers } = await server.call("OPTIONS", "/v1/jobs", preflight(PAGE));
    expect([status, headers.get("access-control-allow-origin")]).toEqual([204, PAGE]);
    expect(headers.get("access-control-allow-methods")).toBe("GET,HEAD,POST,DELETE");
    for (const name of ["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"])
      expect(headers.get("access-control-allow-headers")).toContain(name);
    expect(headers.get("access-control-max-age")).toBe("600");
    expect(headers.get("vary")).toContain("Origin");
    expect(headers.has("access-control-allow-credentials")).toBe(false);
  });

  test("shows pages of a named origin every response, also refusals, streams and 304", async () => {
    await using server = await openServer({ corsOrigins: [PAGE] });
    await ScriptedAgent.open(server.store, "gpu-1");
    const etag = (await server.request("GET", "/v1/agents")).headers.get("etag") ?? "";
    const statuses: number[] = [];
    for (const [method, path, token, more] of [
      ["GET", "/v1/agents", server.gp, {}],
      ["GET", "/v1/agents", server.gp, { "if-none-match": etag }],
      ["GET", "/v1/agents", null, {}],
      ["POST", "/v1/jobs", server.viewer, {}],
      ["GET", "/v1/agents/gpu-9", server.gp, {}],
      ["PUT", "/v1/agents", server.gp, {}],
      ["GET", "/v1/events", server.viewer, {}],
      ["GET", "/api/config/models", server.gp, {}],
    ] as const) {
      const response = await server.request(method, path, { token, headers: { origin: PAGE, ...more } });
      statuses.push(response.status);
      const { headers } = response;
      expect([path, headers.get("access-control-allow-origin")]).toEqual([path, PAGE]);
      for (const name of ["Link", "ETag", "Retry-After", "X-Request-Id", "Location"])
        expect(headers.get("access-control-expose-headers")?.split(",")).toContain(name);
      expect(headers.get("vary")?.match(/Origin/g)).toHaveLength(1);
      await response.body?.cancel();
    }
    expect(statuses).toEqual([200, 304, 401, 403, 404, 405, 200, 200]);
  });

  test("allows no other origins, no opaque one, and none whose name only begins alike", async () => {
    await using server = await openServer({ corsOrigins: [PAGE] });
    for (const origin of [OTHER, "null", `${PAGE}.evil.example`, "http://dash.example.org", `${PAGE}:8443`]) {
      for (const answer of [
        await server.call("GET", "/v1/agents", { headers: { origin } }),
        await server.call("OPTIONS", "/v1/jobs", preflight(origin)),
      ]) {
        expect([origin, corsHeaders(answer)]).toEqual([origin, []]);
        // Or a cache would give it to the page that may have it.
        expect(answer.headers.get("vary")).toContain("Origin");
      }
    }
  });

  test("does nothing where no origin is named, and on the listener without tokens", async () => {
    await using server = await openServer();
    const headers = { origin: PAGE };
    expect(corsHeaders(await server.call("GET", "/v1/agents", { headers }))).toEqual([]);
    expect(corsHeaders(await server.call("OPTIONS", "/v1/jobs", preflight(PAGE)))).toEqual([]);
    await using open = await openServer({ corsOrigins: [PAGE] });
    for (const answer of [
      await open.callTrusted("GET", "/api/models", { headers }),
      await open.callTrusted("OPTIONS", "/api/models", preflight(PAGE)),
    ])
      expect([answer.status, corsHeaders(answer)]).toEqual([403, []]);
  });
});

describe("originOf()", () => {
  test.each([
    ["https://dash.example.org", "https://dash.example.org"],
    ["HTTPS://Dash.Example.org", "https://dash.example.org"],
    ["http://127.0.0.1:3000", "http://127.0.0.1:3000"],
    ["http://[::1]:3000", "http://[::1]:3000"],
    ["*", undefined],
    ["null", undefined],
    ["dash.example.org", undefined],
    ["https://dash.example.org/", undefined],
    ["https://dash.example.org/page", undefined],
    ["https://*.example.org", undefined],
    ["https://dash.example.org:443", undefined],
    ["https://ada@dash.example.org", undefined],
    ["file:///tmp/page.html", undefined],
  ])("of %s is %p", (text, origin) => {
    expect(originOf(text)).toEqual(origin);
  });
});
