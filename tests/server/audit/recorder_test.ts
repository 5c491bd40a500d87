// What of requests and commands is in the audit, over every changing route there is.
import { describe, expect, test } from "bun:test";
import type { Hono } from "hono";
import type { Log } from "#src/base/log.ts";
import type { AuditEntry } from "#src/documents/audit.ts";
import { VERBS, Verb } from "#src/protocol.ts";
import { createApi, createTrustedApi } from "#src/server/api.ts";
import type { Env } from "#src/server/http/env.ts";
import { TrustedHosts } from "#src/server/http/guard/trusted_hosts.ts";
import { job } from "#tests/support/sites/event_site.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const READING = ["ALL", "GET", "HEAD", "OPTIONS"];
/** Its command changes nothing. */
const PING = "/v1/agents/:agent/ping";
const SHOW = "/agents/:agent/api/show";
const NAMES = { agent: "gpu-1", model: "phi4", name: "phi4", unserved: "api/push" };
const PARTS: Readonly<Record<string, string>> = { ...NAMES, id: Bun.randomUUIDv7() };
const BODY = { kind: "pull", model: "phi4", agents: ["gpu-1"] };
const OLLAMA_BODY = { model: "phi4", source: "phi4", destination: "b", keep_alive: 0 };
const PLATFORM_BODY = { model_name: "phi4", model_type: "text" };

/** One that the route takes. */
function bodyFor(path: string): object {
  if (path.startsWith("/api/")) return PLATFORM_BODY;
  if (path.startsWith("/agents/")) return { ...OLLAMA_BODY, ...(path.endsWith("/chat") ? { keep_alive: "5m" } : {}) };
  if (path.endsWith("/copy")) return { destination: "b" };
  if (path.endsWith("/prune")) return { partials: true };
  if (path.endsWith("/fetches")) return { model: "phi4", agent: "gpu-1" };
  if (path.endsWith("/load")) return { keep_alive: 60 };
  return path.endsWith("/trust") ? { unsigned: true } : BODY;
}

/** `POST /v1/jobs`, for each route of an app that may change something. */
function changingRoutes(app: Hono<Env>): string[] {
  const reading = [...READING, "/v1/tickets", "/v1/session", PING, SHOW];
  const changing = app.routes.filter(({ method, path }) => !reading.includes(method) && !reading.includes(path));
  return [
    ...new Set(changing.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)(\{[^}]*\})?/g, partOf)}`)),
  ];
}

function partOf(_: string, name: string): string {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`Give PARTS a value for :${name}`);
  return part;
}

function entries({ services }: ServerUnderTest): readonly AuditEntry[] {
  return services.audit.read({}, { limit: 1_000 }).toReversed();
}

async function withAgent(server: ServerUnderTest): Promise<ScriptedAgent> {
  return await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
}

describe("every changing route", () => {
  test("of the API is in the audit, done or refused", async () => {
    await using server = await openServer();
    await withAgent(server);
    const routes = changingRoutes(createApi(server.services));
    expect(routes.length).toBeGreaterThanOrEqual(9);
    for (const token of [server.gp, server.viewer])
      for (const route of routes) {
        const [method = "", path = ""] = route.split(" ");
        const before = entries(server).length;
        const { status, body: text } = await server.request(method, path, { token, body: bodyFor(path) });
        // The pull of a box never ends here.
        await text?.cancel();
        const [entry, ...more] = entries(server).slice(before);
        const who = token === server.gp ? "platform" : "dashboard";
        expect([entry, more]).toMatchObject([{ request: route, who, way: "token", peer: "192.0.2.1" }, []]);
        expect([route, entry?.outcome === "ok"]).toEqual([route, status < 400]);
        if (token === server.viewer) expect([route, entry?.outcome]).toEqual([route, "forbidden"]);
      }
  });

  test("of the listener without tokens is in the audit", async () => {
    await using server = await openServer();
    await withAgent(server);
    const routes = changingRoutes(createTrustedApi(server.services, new TrustedHosts("127.0.0.1", [])));
    expect(routes).toHaveLength(8);
    for (const route of routes) {
      const [method = "", path = ""] = route.split(" ");
      const body = path.endsWith("/pull") ? { model: "a b" } : bodyFor(path);
      await server.callTrusted(method, path, { headers: { "x-forwarded-for": "198.51.100.7" }, body });
    }
    const common = { who: "trusted", way: "trusted", peer: "192.0.2.1", agent: "gpu-1" };
    expect(entries(server)).toMatchObject(routes.map((request) => ({ ...common, request })));
    const changed = entries(server).filter(({ outcome }) => outcome === "ok");
    expect(changed.map(({ verb }) => verb)).toEqual(["pull_model", "delete_model"]);
  });

  test("that is added later is in the audit too, whether it sends a command or not", async () => {
    await using server = await openServer();
    await withAgent(server);
    const app = createApi(server.services);
    app.put("/v1/agents/:agent/setting", (context) => context.json({}));
    app.put("/v1/agents/:agent/forgets", async (context) => {
      await server.services.courier.deleteModel(context.req.param("agent"), "phi4");
      return context.json({});
    });
    const headers = { authorization: `Bearer ${server.gp}` };
    for (const last of ["setting", "forgets"])
      await app.request(`/v1/agents/gpu-1/${last}`, { method: "PUT", headers }, {});
    expect(entries(server)).toMatchObject([
      { request: "PUT /v1/agents/gpu-1/setting", verb: null, agent: "gpu-1", outcome: "ok" },
      { request: "PUT /v1/agents/gpu-1/forgets", verb: "delete_model", agent: "gpu-1", outcome: "ok" },
    ]);
  });
});

test("every changing command names the caller to its agent", async () => {
  await using server = await openServer();
  const agent = await withAgent(server);
  agent.oldJobs = [job(1, { id: PARTS["id"] ?? "", agent: "gpu-1" })];
  for (const route of changingRoutes(createApi(server.services))) {
    const [method = "", path = ""] = route.split(" ");
    await (await server.request(method, path, { body: bodyFor(path) })).body?.cancel();
  }
  const sent = agent.commands.filter(({ command }) => VERBS[Verb.parse(command)].changing);
  expect(new Set(sent.map(({ command }) => command)).size).toBe(
    Verb.options.filter((verb) => VERBS[verb].changing).length,
  );
  expect(sent.filter(({ requested_by }) => requested_by !== "platform")).toEqual([]);
});

describe("the audit", () => {
  test("has one entry for each known agent, with its outcome and its job", async () => {
    await using server = await openServer();
    const agent = await withAgent(server);
    const answer = () => ({ success: false, code: "exhausted" as const, error: "The disk is full" });
    await ScriptedAgent.open(server.store, "gpu-2", { answer });
    const body = { kind: "pull", model: "gemma3", agents: ["gpu-1", "gpu-2", "gpu-9"], force: true };
    await server.call("POST", "/v1/jobs", { body });
    const pull = { verb: "pull_model", model: "gemma3:latest", details: '{"force":true}' };
    const found = entries(server);
    expect(found).toMatchObject([
      { ...pull, agent: "gpu-1", outcome: "ok", job: agent.jobs[0]?.id ?? "" },
      { ...pull, agent: "gpu-2", outcome: "exhausted", job: null },
    ]);
    expect(new Set(found.map(({ request_id }) => request_id)).size).toBe(1);
    expect(agent.commands.map(({ requested_by }) => requested_by)).toEqual(["platform"]);
  });

  test("has the body of a request that sends no command", async () => {
    await using server = await openServer();
    await withAgent(server);
    const body = { model_name: "phi4", model_type: "text" };
    await server.call("POST", "/api/config/set-active-model", { body });
    await server.call("POST", "/api/config/set-active-model", { body: { model_name: "x".repeat(50_000) } });
    const [set, failed] = entries(server);
    expect([set?.details, set?.outcome]).toEqual([JSON.stringify(body), "ok"]);
    expect([failed?.details?.length, failed?.outcome]).toEqual([200, "invalid"]);
  });

  test("has one refused entry of a request that names only unknown agents", async () => {
    await using server = await openServer();
    await withAgent(server);
    const agents = Array.from({ length: 1_000 }, (_, index) => `invented-${index}`);
    const token = server.tokens.add("puller", "gp", { expiresAtMs: null, agents: null, verbs: ["pull_model"] });
    const { body } = await server.call("POST", "/v1/jobs", { token, body: { ...BODY, agents } });
    expect(body.code).toBe("not_found");
    expect(entries(server)).toMatchObject([
      { request: "POST /v1/jobs", verb: null, who: "puller", outcome: "not_found" },
    ]);
    const rows = (table: string) => server.database.query(`SELECT COUNT(*) AS n FROM ${table}`).get();
    expect(rows("audit WHERE is_refused = 1")).toEqual({ n: 1 });
    expect([rows("refused_jobs"), rows("ended_jobs")]).toEqual([{ n: 0 }, { n: 0 }]);
  });

  test("has what a request changed, whatever else its body has", async () => {
    await using server = await openServer();
    await withAgent(server);
    const trust = "/v1/agents/gpu-1/trust";
    const padding = "A".repeat(1_200);
    const refused = JSON.stringify({ note: padding, unsigned: true });
    await server.call("POST", trust, { body: refused });
    await server.call("POST", trust, { body: { unsigned: true } });
    await server.call("POST", trust, {
      body: `{"key":"${padding.slice(300)}","key":"gone","unsigned":true,"key":"x"}`,
    });
    const key = Buffer.alloc(32, 7).toString("base64");
    await server.call("POST", trust, { body: { key: `${"\u000b".repeat(900)}${key}` } });
    const active = { model_name: `${"a".repeat(500)}://registry.ollama.ai/library/phi4`, model_type: "text" };
    const padded = { note: padding, ...active, model_name: `${" ".repeat(2_000)}${active.model_name}` };
    await server.call("POST", "/api/config/set-active-model", { body: padded });
    const found = entries(server).map(({ details, outcome }) => [details, outcome]);
    expect(found).toEqual([
      [refused.slice(0, 199).concat("…"), "invalid"],
      ['{"unsigned":true}', "ok"],
      [`{"key":"${padding.slice(300)}","key":"gone","unsigned":true,"key":"x"}`.slice(0, 199).concat("…"), "invalid"],
      [JSON.stringify({ key }), "ok"],
      [JSON.stringify(active), "ok"],
    ]);
  });

  test("names the agent and the model whole, however they are written", async () => {
    await using server = await openServer();
    await withAgent(server);
    await server.call("POST", "/v1/agents/%67pu-%31/trust", { body: { unsigned: true } });
    const model = `${"h".repeat(300)}.example/user/model:tag`;
    await server.call("DELETE", `/v1/agents/gpu-1/models/${encodeURIComponent(model)}`);
    expect(entries(server)).toMatchObject([{ agent: "gpu-1", details: '{"unsigned":true}' }, { model }]);
  });

  test("has the command while it runs, so that a crash loses only its outcome", async () => {
    await using server = await openServer({ timeoutMs: 50 });
    const seen: unknown[] = [];
    await ScriptedAgent.open(server.store, "gpu-1", {
      models: [modelOf("phi4:latest")],
      answer: () => void seen.push(entries(server).map(({ verb, outcome }) => [verb, outcome])),
    });
    await server.call("DELETE", "/v1/agents/gpu-1/models/phi4");
    expect(seen).toEqual([[["delete_model", null]]]);
    expect(entries(server).map(({ outcome }) => outcome)).toEqual(["deadline_exceeded"]);
  });

  test("has no reading request, none of an unknown sender, and none that came too fast", async () => {
    await using server = await openServer();
    await withAgent(server);
    await server.call("GET", "/v1/models");
    await server.call("GET", "/v1/models?fresh=true");
    await server.call("POST", "/v1/jobs", { token: null, body: BODY });
    await server.call("POST", "/v1/jobs", { token: "gpuc_wrong", body: BODY });
    await server.callTrusted("DELETE", "/api/models/phi4", { headers: { host: "rebound.example" } });
    await server.callTrusted("DELETE", "/api/models/phi4", { headers: { origin: "http://a.example" } });
    expect(entries(server)).toEqual([]);
    const { viewer: token } = server;
    for (let index = 0; index < 200; index++) await server.call("POST", "/v1/jobs", { token });
    expect(entries(server).length).toBeWithin(50, 100);
  });

  test("names the sender's own address also when its body comes in pieces", async () => {
    await using server = await openServer();
    const app = createApi(server.services);
    const peers = new WeakMap<Request, string>();
    const body = new Blob([JSON.stringify({ model_name: "phi4" })]).stream();
    const headers = { authorization: `Bearer ${server.gp}`, "content-type": "application/json" };
    const request = new Request("http://localhost/api/config/pull-model", { method: "POST", headers, body });
    peers.set(request, "192.0.2.77");
    const requestIP = (asked: Request) => ({ address: peers.get(asked) ?? "unknown" });
    await app.fetch(request, { requestIP });
    expect(entries(server)).toMatchObject([{ peer: "192.0.2.77" }]);
  });

  test("names the server itself for a command outside every request", async () => {
    await using server = await openServer();
    await withAgent(server);
    await server.services.courier.deleteModel("gpu-1", "phi4");
    expect(entries(server)).toMatchObject([{ request: null, request_id: null, who: null, way: null, peer: null }]);
  });
});

describe("the log", () => {
  function recordingLog() {
    const lines: [string, string, Record<string, unknown>][] = [];
    const at = (level: string) => (fields: object, message: string) => void lines.push([level, message, { ...fields }]);
    const log: Log = { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
    return { log, of: (message: string) => lines.filter((line) => line[1] === message) };
  }

  test("has one line for each entry", async () => {
    const { log, of } = recordingLog();
    await using server = await openServer({ log });
    await withAgent(server);
    await server.call("DELETE", "/v1/agents/gpu-1/models/phi4");
    await server.call("DELETE", "/v1/agents/gpu-1/models/phi4", { token: server.viewer });
    const request = { request: "DELETE /v1/agents/gpu-1/models/phi4", request_id: expect.any(String) };
    const done = { ...request, who: "platform", verb: "delete_model", agent: "gpu-1", model: "phi4:latest" };
    const refused = { ...request, who: "dashboard", agent: "gpu-1" };
    const from = { way: "token", peer: "192.0.2.1" };
    expect(of("Audit")).toEqual([
      ["info", "Audit", { ...done, ...from, outcome: "ok" }],
      ["info", "Audit", { ...refused, ...from, outcome: "forbidden" }],
    ]);
  });

  test("keeps the entries when the table cannot be written, which fails no request, and reports that once", async () => {
    const { log, of } = recordingLog();
    await using server = await openServer({ log });
    await withAgent(server);
    server.database.run("PRAGMA query_only = ON");
    for (const model of ["phi4", "gone", "gone"]) await server.call("DELETE", `/v1/agents/gpu-1/models/${model}`);
    expect(of("Audit").map(([, , { outcome }]) => outcome)).toEqual(["ok", "not_found", "not_found"]);
    expect(of("Cannot write the audit")).toHaveLength(1);
    server.database.run("PRAGMA query_only = OFF");
    await server.call("DELETE", "/v1/agents/gpu-1/models/gone");
    expect(of("The audit can be written again")).toHaveLength(1);
    expect(entries(server)).toHaveLength(1);
  });
});
