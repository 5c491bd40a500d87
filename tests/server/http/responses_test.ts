// What each response says about itself: its id, and whether it may be kept.
import { describe, expect, test } from "bun:test";
import type { Log } from "#src/base/log.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

/** Its lines, each as one object. */
function keepingLog(): Log & { readonly lines: object[] } {
  const lines: object[] = [];
  const add = (fields: object, message: string): void => void lines.push({ ...fields, message });
  return { lines, error: add, warn: add, info: add, debug: add };
}

describe("X-Request-Id", () => {
  test("is in each response and its line of the log, whatever becomes of the request", async () => {
    const log = keepingLog();
    await using server = await openServer({ log });
    const ids = new Set<string>();
    for (const [method, path, token] of [
      ["GET", "/healthz", null],
      ["GET", "/v1/agents", server.gp],
      ["GET", "/v1/agents", "wrong"],
      ["GET", "/nothing", null],
      ["PUT", "/v1/agents", server.gp],
      ["OPTIONS", "/v1/agents", null],
      ["POST", "/v1/jobs", server.gp],
      ["GET", "/docs", null],
    ] as const) {
      const response = await server.request(method, path, { token });
      const id = response.headers.get("x-request-id") ?? "";
      expect(id).toMatch(/^[0-9a-f]{12}$/);
      expect(log.lines).toContainEqual(expect.objectContaining({ message: "Request", path, request_id: id }));
      ids.add(id);
    }
    expect(ids.size).toBe(8);
  });

  test("is the client's own if that is a short word, and in the audit too", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const headers = { "x-request-id": "page-7_a=1" };
    const { headers: answered } = await server.call("POST", "/v1/jobs", { headers, body: { kind: "pull" } });
    expect(answered.get("x-request-id")).toBe("page-7_a=1");
    expect(server.services.audit.read({}, { limit: 1 })[0]?.request_id).toBe("page-7_a=1");
    for (const foreign of ["x".repeat(65), "a b", "a;b", "%0a", "é"]) {
      const sent = { headers: { "x-request-id": foreign } };
      expect((await server.request("GET", "/healthz", sent)).headers.get("x-request-id")).toMatch(/^[0-9a-f]{12}$/);
    }
  });
});

describe("Cache-Control", () => {
  test.each([
    ["GET", "/v1/agents", "private, no-cache"],
    ["GET", "/v1/agents/gpu-1", "private, no-cache"],
    ["GET", "/v1/agents/gpu-9", "no-store"],
    ["GET", "/v1/jobs/01a20fe3-0000-7000-8000-000000000000", "no-store"],
    ["POST", "/v1/jobs", "no-store"],
    ["GET", "/v1/none", "no-store"],
    ["GET", "/api/config/models", "no-store"],
    ["GET", "/api/models", "no-store"],
    ["GET", "/healthz", "no-store"],
    ["GET", "/openapi.json", "no-cache"],
    ["GET", "/docs", "no-cache"],
  ])("of %s %s is %s", async (method, path, expected) => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    expect((await server.request(method, path)).headers.get("cache-control")).toBe(expected);
  });

  test("keeps what a caller without a token gets out of every cache", async () => {
    await using server = await openServer();
    const { headers } = await server.call("GET", "/v1/agents", { token: null });
    expect(headers.get("cache-control")).toBe("no-store");
  });
});

test("/openapi.json has an ETag, and is a 304 for those who have it", async () => {
  await using server = await openServer();
  const etag = (await server.call("GET", "/openapi.json", { token: null })).headers.get("etag") ?? "";
  expect(etag).toMatch(/^W\/"[0-9a-z]+"$/);
  const again = await server.call("GET", "/openapi.json", { token: null, headers: { "if-none-match": etag } });
  expect([again.status, again.body]).toEqual([304, undefined]);
});
