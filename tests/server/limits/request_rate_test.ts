// How many requests a viewer's token may send, alone and over HTTP.
import { describe, expect, test } from "bun:test";
import { RequestRate } from "#src/server/limits/request_rate.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

describe("RequestRate", () => {
  test("take() lets 50 through at once, then 20 a second, and returns the time to wait", async () => {
    const clock = new ManualClock();
    const rate = new RequestRate(clock);
    const waits = Array.from({ length: 52 }, () => rate.take("a"));
    expect(waits).toEqual([...Array.from({ length: 50 }, () => 0), 50, 50]);
    let served = 0;
    for (let step = 0; step < 1_000; step++) {
      await clock.advance(10);
      if (rate.take("a") === 0) served += 1;
    }
    expect(served).toBe(200);
  });

  test("take() counts each token alone, and fills a bucket again", async () => {
    const clock = new ManualClock();
    const rate = new RequestRate(clock);
    while (rate.take("a") === 0);
    expect(rate.take("b")).toBe(0);
    await clock.advance(2_500);
    expect(Array.from({ length: 51 }, () => rate.take("a")).filter((wait) => wait === 0)).toHaveLength(50);
  });

  test("keeps only buckets that are not full, whatever tokens come and go", async () => {
    const clock = new ManualClock();
    const rate = new RequestRate(clock);
    for (let index = 0; index < 1_000; index++) {
      rate.take(`token-${index}`);
      await clock.advance(50);
    }
    expect(rate.size).toBe(1);
  });
});

describe("requireToken()", () => {
  test("answers 429 with Retry-After to a viewer beyond the burst, before the role, and serves it later", async () => {
    const clock = new ManualClock(Date.now());
    await using server = await openServer({ clock });
    await ScriptedAgent.open(server.store, "gpu-1");
    const token = server.viewer;
    for (let index = 0; index < 50; index++)
      expect((await server.call("GET", "/v1/jobs/x", { token })).status).toBe(404);
    for (const [method, path] of [
      ["GET", "/v1/agents"],
      ["POST", "/v1/jobs"],
    ] as const) {
      const { status, headers, body } = await server.call(method, path, { token });
      expect([status, headers.get("retry-after"), body.code]).toEqual([429, "1", "exhausted"]);
      expect(body).toMatchObject({ title: "Too many requests", hint: expect.stringContaining("Wait 1 s") });
    }
    const other = server.tokens.add("other", "viewer");
    expect((await server.call("GET", "/v1/agents", { token: other })).status).toBe(200);
    await clock.advance(50);
    expect((await server.call("GET", "/v1/agents", { token })).status).toBe(200);
  });

  test.each([
    ["for some agents", { agents: ["gpu-1"], verbs: null }, 429],
    ["that only reads", { agents: null, verbs: ["list_models", "list_jobs"] }, 429],
    ["that changes the whole fleet", { agents: null, verbs: ["list_models", "pull_model"] }, 200],
  ] as const)("answers a gp token %s beyond the burst with its status", async (_, limits, expected) => {
    await using server = await openServer({ clock: new ManualClock(Date.now()) });
    await ScriptedAgent.open(server.store, "gpu-1");
    const token = server.tokens.add("limited", "gp", { expiresAtMs: null, ...limits });
    for (let index = 0; index < 50; index++)
      expect((await server.call("GET", "/v1/agents", { token })).status).toBe(200);
    expect((await server.call("GET", "/v1/agents", { token })).status).toBe(expected);
  });

  test("answers a user of the platform although a token of the same name sends too much", async () => {
    const user = {
      name: "dashboard",
      way: "jwt",
      role: "viewer",
      agents: null,
      verbs: null,
      expiresAtMs: null,
    } as const;
    const login = { authenticate: async () => await Promise.resolve(user), check: async () => await Promise.resolve() };
    await using server = await openServer({ clock: new ManualClock(Date.now()), login });
    const statusOf = async (token: string): Promise<number> =>
      (await server.call("GET", "/v1/jobs/x", { token })).status;
    for (let index = 0; index < 51; index++) await statusOf(server.viewer);
    expect([await statusOf(server.viewer), await statusOf("of-the-platform")]).toEqual([429, 404]);
  });

  test("sets no limit for a gp token", async () => {
    await using server = await openServer({ clock: new ManualClock(Date.now()) });
    await ScriptedAgent.open(server.store, "gpu-1");
    for (let index = 0; index < 200; index++) expect((await server.call("GET", "/v1/agents")).status).toBe(200);
  });

  test("is described in /openapi.json, for every route with a token", async () => {
    await using server = await openServer();
    const { body } = await server.call("GET", "/openapi.json", { token: null });
    const routes = Object.values<object>(body.paths).flatMap((path) => Object.values(path));
    const withToken = routes.filter(({ security }) => security.length > 0);
    expect(withToken).toHaveLength(routes.length - 5);
    for (const { responses } of withToken) {
      expect(responses["429"]).toMatchObject({ headers: { "Retry-After": { schema: { type: "integer" } } } });
      for (const status of ["401", "403"]) expect(responses[status].description).toContain("token");
    }
  });
});
