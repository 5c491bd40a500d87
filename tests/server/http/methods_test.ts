// HEAD, and methods that a path does not have: on the routes of every kind.
import { describe, expect, test } from "bun:test";
import { createApi, createTrustedApi } from "#src/server/api.ts";
import { TrustedHosts } from "#src/server/http/guard/trusted_hosts.ts";
import { listen } from "#src/server/http/listen.ts";
import { job } from "#tests/support/sites/event_site.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };

describe("describeHead()", () => {
  test("answers HEAD with the status and headers of GET, over a socket", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
    const listener = listen(LOCAL, createApi(server.services).fetch, 1000);
    const trusted = listen(LOCAL, createTrustedApi(server.services, new TrustedHosts(LOCAL.host, [])).fetch, 1000);
    // Decompressed, a body has another length than `content-length` says.
    const headers = { authorization: `Bearer ${server.gp}`, "accept-encoding": "identity" };
    const urls = [
      "/healthz",
      "/readyz",
      "/openapi.json",
      "/v1/agents",
      "/v1/agents/gpu-1/models/phi4",
      "/v1/jobs",
      "/v1/none",
      "/v1/models?fresh=maybe",
      "/api/config/models",
      "/api/models",
      "/api/config/none",
      "/",
      "/docs",
      "/docs/swagger-ui.js",
    ].map((path) => `${listener.url}${path}`);
    for (const url of [...urls, `${trusted.url}/api/models`, `${trusted.url}/none`]) {
      const [head, get] = [await fetch(url, { method: "HEAD", headers }), await fetch(url, { headers })];
      const { byteLength } = await get.arrayBuffer();
      expect([url, head.status, await head.text()]).toEqual([url, get.status, ""]);
      expect(head.headers.get("content-length")).toBe(String(byteLength));
      for (const name of ["content-type", "cache-control", "vary", "etag"])
        expect([url, name, head.headers.get(name)]).toEqual([url, name, get.headers.get(name)]);
      expect(Math.abs(Date.parse(head.headers.get("date") ?? "") - Date.now())).toBeLessThan(60_000);
    }
    await Promise.all([listener.close(0), trusted.close(0)]);
  });

  test("answers HEAD of a stream with the headers of GET, at once", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    agent.jobs = [job(1, { state: "running" })];
    await agent.publish();
    const listener = listen(LOCAL, createApi(server.services).fetch, 1000);
    const headers = { authorization: `Bearer ${server.gp}` };
    for (const path of ["/v1/events", "/v1/jobs/job-1/events"]) {
      const head = await fetch(`${listener.url}${path}`, { method: "HEAD", headers });
      const get = await fetch(`${listener.url}${path}`, { headers });
      await get.body?.cancel();
      for (const name of ["content-type", "cache-control", "x-accel-buffering", "transfer-encoding", "content-length"])
        expect([path, name, head.headers.get(name)]).toEqual([path, name, get.headers.get(name)]);
    }
    await until(() => server.services.listeners.total === 0);
    await listener.close(0);
  });
});

describe("answerOptions", () => {
  test.each([
    ["/healthz", "GET, HEAD, OPTIONS"],
    ["/docs", "GET, HEAD, OPTIONS"],
    ["/v1/agents", "GET, HEAD, OPTIONS"],
    ["/v1/jobs", "GET, HEAD, OPTIONS, POST"],
    ["/v1/agents/gpu-9/models/none", "DELETE, GET, HEAD, OPTIONS"],
    ["/v1/tickets", "OPTIONS, POST"],
    ["/api/config/delete-model", "DELETE, OPTIONS"],
    ["/api/models/hf.co/user/m:t", "DELETE, OPTIONS, POST"],
  ])("answers OPTIONS %s without a token", async (path, allow) => {
    await using server = await openServer();
    for (const token of [null, "wrong", server.viewer]) {
      const { status, headers, body } = await server.call("OPTIONS", path, { token });
      expect([status, headers.get("allow"), body]).toEqual([204, allow, undefined]);
    }
  });

  test("leaves an unknown path to what refuses it for every method", async () => {
    await using server = await openServer();
    expect((await server.call("OPTIONS", "/nothing", { token: null })).status).toBe(404);
    expect((await server.call("OPTIONS", "/v1/nothing", { token: null })).status).toBe(404);
    expect((await server.callTrusted("OPTIONS", "/v1/jobs")).status).toBe(404);
    expect((await server.callTrusted("OPTIONS", "/api/models")).headers.get("allow")).toBe("GET, HEAD, OPTIONS");
  });
});

describe("refuseOtherMethods()", () => {
  test.each([
    ["POST", "/healthz", "GET, HEAD, OPTIONS"],
    ["DELETE", "/readyz", "GET, HEAD, OPTIONS"],
    ["PUT", "/openapi.json", "GET, HEAD, OPTIONS"],
    ["POST", "/", "GET, HEAD, OPTIONS"],
    ["POST", "/docs", "GET, HEAD, OPTIONS"],
    ["DELETE", "/v1/tickets", "OPTIONS, POST"],
    ["POST", "/v1/agents", "GET, HEAD, OPTIONS"],
    ["DELETE", "/v1/jobs", "GET, HEAD, OPTIONS, POST"],
    ["GET", "/v1/jobs/job-1/cancel", "OPTIONS, POST"],
    ["HEAD", "/v1/jobs/job-1/cancel", "OPTIONS, POST"],
    ["POST", "/v1/events", "GET, HEAD, OPTIONS"],
    ["PATCH", "/v1/agents/gpu-1/models/hf.co%2Fuser%2Fm%3At", "DELETE, GET, HEAD, OPTIONS"],
    ["PUT", "/v1/agents/gpu-1/models/phi4/copy", "OPTIONS, POST"],
    ["POST", "/api/config/models", "GET, HEAD, OPTIONS"],
    ["GET", "/api/config/pull-model", "OPTIONS, POST"],
    ["POST", "/api/config/delete-model", "DELETE, OPTIONS"],
    ["GET", "/api/models/hf.co/user/m:t", "DELETE, OPTIONS, POST"],
    ["POST", "/api/models", "GET, HEAD, OPTIONS"],
    ["POST", "/api/health", "GET, HEAD, OPTIONS"],
  ])("answers 405 with Allow to %s %s", async (method, path, allow) => {
    await using server = await openServer();
    const { status, headers, body } = await server.call(method, path);
    expect([status, headers.get("allow")]).toEqual([405, allow]);
    if (method === "HEAD") return;
    if (path.startsWith("/api/config")) expect(Object.keys(body)).toEqual(["detail"]);
    else if (path.startsWith("/api/")) expect(body).toEqual({ success: false, error: expect.any(String) });
    else expect(body).toMatchObject({ status: 405, code: "invalid", title: "Method not allowed" });
  });

  test("answers 401, then 403, before 405", async () => {
    await using server = await openServer();
    for (const path of ["/v1/agents", "/api/config/models", "/api/models"]) {
      for (const method of ["POST", "PATCH"]) {
        const [unknown, viewer] = [null, server.viewer].map(
          async (token) => await server.call(method, path, { token }),
        );
        expect([(await unknown)?.status, (await viewer)?.status]).toEqual([401, 403]);
      }
    }
  });

  test("leaves the 404 of an unknown path and of an unknown thing as it is", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    for (const [method, path] of [
      ["POST", "/nothing"],
      ["POST", "/v1/nothing"],
      ["GET", "/v1/agents/gpu-9"],
      ["DELETE", "/v1/agents/gpu-1/models/nothing"],
    ] as const) {
      const { status, headers, body } = await server.call(method, path);
      expect([path, status, body.code, headers.get("allow")]).toEqual([path, 404, "not_found", null]);
    }
  });

  test("answers 405 on the listener without tokens, and refuses browsers before", async () => {
    await using server = await openServer();
    const { status, headers } = await server.callTrusted("POST", "/api/models");
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
    const sent = { headers: { origin: "https://somewhere.example" } };
    expect((await server.callTrusted("OPTIONS", "/api/models", sent)).status).toBe(403);
  });
});
