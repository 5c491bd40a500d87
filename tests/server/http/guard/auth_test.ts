// Access control over HTTP: tokens, roles, and the order of refusals.
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { openStore } from "#src/server/store/store.ts";
import { Tokens } from "#src/server/store/tokens.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

describe("requireToken()", () => {
  test("answers 401 with WWW-Authenticate when no token is sent", async () => {
    await using server = await openServer();
    const answer = await server.call("GET", "/api/config/models", { token: null });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toStartWith("Bearer");
    expect(answer.body.detail).toContain("No token was sent");
  });

  test.each(["Basic cGxhdGZvcm06eA==", "Bearer", "Bearer  ", "Bearer a b", "gpuc_x"])(
    "answers 401 when the header is %p",
    async (authorization) => {
      await using server = await openServer();
      const answer = await server.call("GET", "/v1/agents", { token: null, headers: { authorization } });
      expect(answer.status).toBe(401);
      expect(answer.body.code).toBe("unauthenticated");
    },
  );

  test("answers 401 when the token is unknown", async () => {
    await using server = await openServer();
    for (const token of ["wrong", `${server.gp}x`, server.gp.slice(0, -1)]) {
      const answer = await server.call("GET", "/v1/agents", { token });
      expect(answer.status).toBe(401);
    }
  });

  test("takes the scheme in any case when the token is valid", async () => {
    await using server = await openServer();
    const headers = { authorization: `bearer ${server.gp}` };
    expect((await server.call("GET", "/v1/agents", { token: null, headers })).status).toBe(200);
  });

  test("answers 403 when a viewer uses a platform route", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    for (const path of ["/api/config/models", "/api/config/available-models", "/api/models", "/api/health"]) {
      const answer = await server.call("GET", path, { token: server.viewer });
      expect(answer.status).toBe(403);
    }
  });

  test("lets a viewer read under /v1 and change nothing", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
    const token = server.viewer;
    expect((await server.call("GET", "/v1/models", { token })).status).toBe(200);
    const deleted = await server.call("DELETE", "/v1/agents/gpu-1/models/phi4", { token });
    expect(deleted.status).toBe(403);
    expect(deleted.body.code).toBe("forbidden");
    const body = { kind: "pull", model: "phi4", agents: "all" };
    expect((await server.call("POST", "/v1/jobs", { token, body })).status).toBe(403);
    expect(agent.commands).toEqual([]);
  });

  test("answers 401, then 403, before it checks the body", async () => {
    await using server = await openServer();
    const path = "/api/config/pull-model";
    const large = "x".repeat(200_000);
    for (const body of ["{not json", large]) {
      expect((await server.call("POST", path, { token: null, body })).status).toBe(401);
      expect((await server.call("POST", path, { token: server.viewer, body })).status).toBe(403);
    }
    expect((await server.call("POST", path, { body: large })).status).toBe(413);
    expect((await server.call("POST", path, { body: "{not json" })).status).toBe(400);
  });

  test("answers 401 on an unknown path, so that a caller without a token learns nothing", async () => {
    await using server = await openServer();
    expect((await server.call("GET", "/v1/nothing", { token: null })).status).toBe(401);
    expect((await server.call("GET", "/api/nothing", { token: null })).status).toBe(401);
    expect((await server.call("GET", "/v1/nothing")).status).toBe(404);
  });

  test("leaves /healthz, /readyz, /openapi.json, /docs and / open", async () => {
    await using server = await openServer();
    for (const path of ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/swagger-ui.css", "/"])
      expect((await server.request("GET", path, { token: null })).status).toBe(200);
  });

  test("refuses a token from the moment it is revoked", async () => {
    await using server = await openServer();
    const token = server.tokens.add("temporary", "gp");
    expect((await server.call("GET", "/v1/agents", { token })).status).toBe(200);
    server.tokens.revoke("temporary");
    expect((await server.call("GET", "/v1/agents", { token })).status).toBe(401);
  });
});

describe("a token that expires", () => {
  test("is refused from that moment on, with 401 and when it was", async () => {
    const clock = new ManualClock(Date.parse("2026-11-29T12:00:00Z"));
    await using server = await openServer({ clock });
    const limits = { expiresAtMs: clock.now() + 1_000, agents: null, verbs: null };
    const token = server.tokens.add("short", "gp", limits);
    await clock.advance(999);
    expect((await server.call("GET", "/api/config/available-models", { token })).status).toBe(200);
    await clock.advance(1);
    const { status, body } = await server.call("GET", "/v1/agents", { token });
    expect([status, body.code, body.detail]).toEqual([
      401,
      "unauthenticated",
      'Token "short" expired at 2026-11-29T12:00:01.000Z',
    ]);
    expect(body.hint).toContain("gpu-server token");
  });
});

describe("createTrustedApi()", () => {
  test("serves only the GPU service's routes, without a token", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
    expect((await server.callTrusted("GET", "/api/health")).status).toBe(200);
    expect((await server.callTrusted("DELETE", "/api/models/phi4:latest")).status).toBe(200);
    for (const path of ["/api/config/models", "/v1/agents", "/healthz", "/openapi.json"])
      expect((await server.callTrusted("GET", path)).status).toBe(404);
  });

  test("refuses requests that a browser sends for a web page", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
    for (const headers of [{ origin: "https://somewhere.example" }, { "sec-fetch-site": "same-origin" }])
      expect((await server.callTrusted("POST", "/api/models/phi4", { headers })).status).toBe(403);
    expect(agent.commands).toEqual([]);
  });
});

describe("Tokens", () => {
  async function withStateDir(use: (stateDir: string) => Promise<void>): Promise<void> {
    const stateDir = await mkdtemp(join(tmpdir(), "gpu-courier-tokens-"));
    try {
      await use(stateDir);
    } finally {
      await rm(stateDir, { recursive: true });
    }
  }

  test("find() knows a token that another handle made after this one was opened", async () => {
    await withStateDir(async (stateDir) => {
      const [first, second] = [openStore(stateDir), openStore(stateDir)];
      const running = new Tokens(first, systemClock);
      expect(running.list()).toEqual([]);
      const token = new Tokens(second, systemClock).add("later", "viewer");
      expect(running.find(token)).toMatchObject({ name: "later", role: "viewer" });
      first.close();
      second.close();
    });
  });

  test("add() stores no token in the file, and only the owner may read it", async () => {
    await withStateDir(async (stateDir) => {
      const database = openStore(stateDir);
      const token = new Tokens(database, systemClock).add("platform", "gp");
      database.close();
      const file = Bun.file(join(stateDir, "server.db"));
      expect(await file.text()).not.toContain(token.slice(5));
      expect((await file.stat()).mode & 0o777).toBe(0o600);
    });
  });

  test("add() refuses a second token with the same name, and invalid names", async () => {
    await withStateDir(async (stateDir) => {
      const database = openStore(stateDir);
      const tokens = new Tokens(database, systemClock);
      tokens.add("platform", "gp");
      expect(() => tokens.add("platform", "viewer")).toThrow(expect.objectContaining({ code: "conflict" }));
      for (const name of ["", "-x", "a b", "a\n", "x".repeat(65)])
        expect(() => tokens.add(name, "gp")).toThrow(expect.objectContaining({ code: "invalid" }));
      expect(() => tokens.revoke("nobody")).toThrow(expect.objectContaining({ code: "not_found" }));
      database.close();
    });
  });

  test("openStore() refuses a file of a newer release", async () => {
    await withStateDir(async (stateDir) => {
      const database = openStore(stateDir);
      database.run("PRAGMA user_version = 99");
      database.close();
      expect(() => openStore(stateDir)).toThrow(expect.objectContaining({ code: "conflict" }));
    });
  });
});
