// Requests with every shape of Host header and request target, over raw sockets, on both listeners.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { createApi, createTrustedApi } from "#src/server/api.ts";
import { TrustedHosts } from "#src/server/http/guard/trusted_hosts.ts";
import { type Listener, listen } from "#src/server/http/listen.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };

let server: ServerUnderTest;
let listeners: { readonly api: Listener; readonly trusted: Listener };
beforeAll(async () => {
  server = await openServer();
  await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
  listeners = {
    api: listen(LOCAL, createApi(server.services).fetch, 1000),
    trusted: listen(LOCAL, createTrustedApi(server.services, new TrustedHosts(LOCAL.host, [])).fetch, 1000),
  };
});
afterAll(async () => {
  await Promise.all([listeners.api.close(0), listeners.trusted.close(0)]);
  await server[Symbol.asyncDispose]();
});

/** Sends these lines as they are. @returns the status and the body of the response */
async function send(listener: Listener, ...lines: readonly string[]): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(listener.url);
  const answer = Promise.withResolvers<string>();
  const socket = connect(Number(port), hostname);
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    text += chunk;
  });
  socket.on("error", answer.reject);
  socket.on("close", () => answer.resolve(text));
  socket.write(`${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n`);
  const [head = "", body = ""] = (await answer.promise).split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), body };
}

async function statusOf(...lines: readonly string[]): Promise<number> {
  return (await send(listeners.api, ...lines)).status;
}

describe("a request without a Host header", () => {
  test.each([
    ["/healthz", 200],
    ["/healthz?verbose=1", 200],
    ["/health%7a", 200],
    ["/v1/../healthz", 200],
    ["http://anywhere.example/healthz", 200],
    ["/readyz", 200],
    ["/openapi.json", 200],
    ["//healthz", 404],
    ["/", 200],
    ["/x/healthz", 404],
    ["/v1/agents", 401],
    ["/v1/agents/gpu-1/models/phi4%3Alatest", 401],
    ["/api/config/models", 401],
    ["/api/models", 401],
  ])("is answered for its whole path when HTTP/1.0 asks for %s", async (target, status) => {
    expect(await statusOf(`GET ${target} HTTP/1.0`)).toBe(status);
  });

  test("reaches the routes behind a token, with path parameters and queries", async () => {
    const token = `Authorization: Bearer ${server.gp}`;
    for (const target of [
      "/v1/agents/gpu-1",
      "/v1/agents/gpu-1/models/phi4%3Alatest",
      "/v1/models?agent=gpu-1",
      "/v1/models?fresh=false",
      "/api/models?agent=gpu-1",
    ]) {
      const { status, body } = await send(listeners.api, `GET ${target} HTTP/1.0`, token);
      expect([target, status, body.includes("gpu-1") || body.includes("phi4")]).toEqual([target, 200, true]);
    }
    const none = await send(listeners.api, "GET /v1/models?agent=gpu-9 HTTP/1.0", token);
    expect(none.status).toBe(404);
  });

  test("is answered on the listener without tokens too", async () => {
    const { status, body } = await send(listeners.trusted, "GET /api/models HTTP/1.0");
    expect([status, JSON.parse(body).success]).toEqual([200, true]);
    expect((await send(listeners.trusted, "GET /healthz HTTP/1.0")).status).toBe(404);
  });

  test("names the whole path in its 404", async () => {
    const { body } = await send(listeners.api, "GET /nothing/there HTTP/1.0");
    expect(JSON.parse(body).detail).toBe("No route GET /nothing/there");
  });

  test("hints at %2F in its 404 where a model's name has a slash", async () => {
    const token = `Authorization: Bearer ${server.gp}`;
    const { body } = await send(listeners.api, "DELETE /v1/agents/gpu-1/models/hf.co/user/model HTTP/1.0", token);
    expect(JSON.parse(body)).toMatchObject({ status: 404, hint: "Write / in a model's name as %2F" });
    const encoded = await send(listeners.api, "GET /v1/agents/gpu-9/models/hf.co%2Fuser%2Fmodel HTTP/1.0", token);
    expect(encoded.body).not.toContain("%2F in");
  });

  test("is refused with 400 by HTTP/1.1, which requires one", async () => {
    expect(await statusOf("GET /healthz HTTP/1.1")).toBe(400);
    expect(await statusOf("GET http://anywhere.example/healthz HTTP/1.1")).toBe(400);
  });
});

describe("requireValidHost()", () => {
  const INVALID = [
    "",
    "   ",
    "a/b",
    "a?b",
    "a#b",
    "a@b",
    "a b",
    "/",
    "//x/y",
    "a\\b",
    "<x>",
    "é",
    "%",
    "%zz",
    "a, b",
    "::1",
    "[zz]",
    "[::1",
    "[]",
    "[1::2::3]",
    "[fe80::1%25eth0]",
    "x:abc",
    "x:99999",
    "x:1:2",
    ":80",
    "x:-1",
  ];

  for (const version of ["1.0", "1.1"])
    test.each(INVALID)(`answers 400 to HTTP/${version} with the Host %p`, async (host) => {
      const { status, body } = await send(listeners.api, `GET /healthz HTTP/${version}`, `Host: ${host}`);
      expect([status, JSON.parse(body).code]).toEqual([400, "invalid"]);
    });

  test.each([
    "x",
    "x:",
    "x:80",
    "gpu-1.example:8001",
    "a_b",
    "gpu.1",
    "1.2.3.4",
    "1.2.3.4:8001",
    "[::1]",
    "[::1]:8001",
  ])("lets the Host %p through", async (host) => {
    for (const version of ["1.0", "1.1"])
      expect(await statusOf(`GET /healthz HTTP/${version}`, `Host: ${host}`)).toBe(200);
  });

  test("answers 400 to two Host headers, also when both are the same", async () => {
    for (const second of ["a", "b"])
      expect(await statusOf("GET /healthz HTTP/1.1", "Host: a", `Host: ${second}`)).toBe(400);
  });

  test("answers in the style of the route, before it looks at the token, on both listeners", async () => {
    const bad = "Host: a/b";
    for (const [listener, target] of [
      [listeners.api, "/v1/agents"],
      [listeners.api, "/nothing"],
      [listeners.api, "/api/config/models"],
      [listeners.api, "/api/models"],
      [listeners.trusted, "/api/models"],
      [listeners.trusted, "/nothing"],
    ] as const) {
      const { status, body } = await send(listener, `GET ${target} HTTP/1.1`, bad);
      const { detail, error } = JSON.parse(body);
      expect([status, detail ?? error]).toEqual([400, expect.stringContaining('Invalid Host header: "a/b"')]);
    }
  });
});

describe("requestPath()", () => {
  test.each([
    ["GET http://anywhere.example/healthz HTTP/1.1", 200],
    ["GET https://anywhere.example:1/healthz?x=1 HTTP/1.1", 200],
    ["GET http://anywhere.example HTTP/1.1", 200],
    ["GET /health%7a HTTP/1.1", 200],
    ["GET //healthz HTTP/1.1", 404],
    ["GET //x/healthz HTTP/1.1", 404],
    ["GET /v1/../healthz HTTP/1.1", 200],
    ["OPTIONS * HTTP/1.1", 400],
    ["GET * HTTP/1.1", 400],
    ["GET healthz HTTP/1.1", 400],
    ["CONNECT anywhere.example:80 HTTP/1.1", 404],
  ])("%s is answered %p", async (line, status) => {
    expect(await statusOf(line, "Host: anywhere.example:80")).toBe(status);
  });

  test("names the target of CONNECT as it was sent", async () => {
    const { body } = await send(listeners.api, "CONNECT anywhere.example:80 HTTP/1.1", "Host: anywhere.example:80");
    expect(JSON.parse(body).detail).toBe("No route CONNECT anywhere.example:80");
  });
});
