// HEAD, and methods that a path does not have: on the routes of every kind.
import { describe, expect, test } from "bun:test";
import { createApi, createTrustedApi } from "#src/server/api.ts";
import { listen } from "#src/server/http/listen.ts";
import { TrustedHosts } from "#src/server/http/trusted_hosts.ts";
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
    const headers = { authorization: `Bearer ${server.gp}` };
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
    ].map((path) => `${listener.url}${path}`);
    for (const url of [...urls, `${trusted.url}/api/models`, `${trusted.url}/none`]) {
      const [head, get] = [await fetch(url, { method: "HEAD", headers }), await fetch(url, { headers })];
      const { byteLength } = await get.arrayBuffer();
      expect([url, head.status, await head.text()]).toEqual([url, get.status, ""]);
      expect(head.headers.get("content-length")).toBe(String(byteLength));
      expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
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

describe("refuseOtherMethods()", () => {
  test.each([
    ["POST", "/healthz", "GET, HEAD"],
    ["OPTIONS", "/healthz", "GET, HEAD"],
    ["DELETE", "/readyz", "GET, HEAD"],
    ["PUT", "/openapi.json", "GET, HEAD"],
    ["POST", "/v1/agents", "GET, HEAD"],
    ["DELETE", "/v1/jobs", "GET, HEAD, POST"],
    ["OPTIONS", "/v1/jobs", "GET, HEAD, POST"],
    ["GET", "/v1/jobs/job-1/cancel", "POST"],
    ["HEAD", "/v1/jobs/job-1/cancel", "POST"],
    ["POST", "/v1/events", "GET, HEAD"],
    ["PATCH", "/v1/agents/gpu-1/models/hf.co%2Fuser%2Fm%3At", "DELETE, GET, HEAD"],
    ["PUT", "/v1/agents/gpu-1/models/phi4/copy", "POST"],
    ["POST", "/api/config/models", "GET, HEAD"],
    ["GET", "/api/config/pull-model", "POST"],
    ["POST", "/api/config/delete-model", "DELETE"],
    ["GET", "/api/models/hf.co/user/m:t", "DELETE, POST"],
    ["POST", "/api/models", "GET, HEAD"],
    ["POST", "/api/health", "GET, HEAD"],
  ])("answers 405 with Allow to %s %s", async (method, path, allow) => {
    await using server = await openServer();
    const { status, headers, body } = await server.call(method, path);
    expect([status, headers.get("allow")]).toEqual([405, allow]);
    if (method === "HEAD") return;
    if (path.startsWith("/api/config")) expect(Object.keys(body)).toEqual(["detail"]);
    else if (path.startsWith("/api/")) expect(body).toEqual({ success: false, error: expect.any(String) });
    else expect(body).toMatchObject({ status: 405, code: "invalid", title: "Method not allowed" });
  });

  test("answers 401, then 403, before 405, so that nobody without a token learns which paths exist", async () => {
    await using server = await openServer();
    for (const path of ["/v1/agents", "/api/config/models", "/api/models"]) {
      for (const method of ["POST", "OPTIONS", "PATCH"]) {
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
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    const sent = { headers: { origin: "https://somewhere.example" } };
    expect((await server.callTrusted("OPTIONS", "/api/models", sent)).status).toBe(403);
  });
});
