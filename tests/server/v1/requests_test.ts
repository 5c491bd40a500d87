// Requests to /v1 that have unknown or wrong fields: refused, in words that name the field. Other routes ignore such fields.
import { expect, test } from "bun:test";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const PARTS: Readonly<Record<string, string>> = { agent: "gpu-1", model: "phi4", id: "job-1" };
const PULL = { kind: "pull", model: "phi4", agents: ["gpu-1"] };
const COPY = "/v1/agents/gpu-1/models/phi4/copy";

async function open(): Promise<ServerUnderTest & { readonly agent: ScriptedAgent }> {
  const server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
  return Object.assign(server, { agent });
}

test("every route under /v1 refuses an unknown query parameter, and reaches no agent", async () => {
  await using server = await open();
  const routes = server.routes.filter((route) => route.includes(" /v1/"));
  expect(routes.length).toBeGreaterThan(16);
  for (const route of routes) {
    const [method = "", path = ""] = route.split(" ");
    const concrete = path.replaceAll(/:(\w+)/g, (_, name: string) => PARTS[name] ?? name);
    const sent = path.endsWith("/copy") ? { body: { destination: "b" } } : method === "POST" ? { body: PULL } : {};
    const { status, body } = await server.call(method, `${concrete}?agnet=gpu-1`, sent);
    expect([route, status, body.code]).toEqual([route, 400, "invalid"]);
    expect(body.detail).toStartWith('Unknown query parameter "agnet": ');
  }
  expect(server.agent.commands).toEqual([]);
});

test.each([
  ["/v1/jobs?agnet=gpu-1", 'Unknown query parameter "agnet": did you mean "agent"?'],
  ["/v1/agents/gpu-1?fresh=true", 'Unknown query parameter "fresh": none is taken here'],
  ["/v1/models?fresh=maybe", "fresh must be true or false"],
  ["/v1/models?agent=a&agent=b", "agent may be given once"],
  ["/v1/models?agent=..%2Fx", "agent must be 1 to 63 of a-z, 0-9 and -, not beginning or ending with -"],
  ["/v1/agents?limit=x", "limit must be a number"],
  ["/v1/agents?limit=1.5", "limit must be a whole number"],
  ["/v1/agents?limit=0", "limit must be at least 1"],
  ["/v1/agents?limit=10001", "limit must be at most 10000"],
  [
    "/v1/jobs?state=nonsense",
    "state must be one or more of queued, running, verifying, succeeded, failed, cancelled, retrying",
  ],
  ["/v1/jobs?state=failed,runing", 'Unknown state "runing": did you mean "running"? state must be one or more of '],
  ["/v1/jobs?state=failed&state=", "state must be one or more of "],
  ["/v1/jobs?model=a%20b", 'Cannot use "a b" as a model name'],
  ["/v1/agents?sort=age", "sort must be name or -name"],
  [`/v1/agents?name=${"x".repeat(201)}`, "name must have at most 200 characters"],
  ["/v1/audit?since=yesterday", "since must be a time such as 2026-01-31T12:00:00Z"],
  ["/v1/jobs?limit=0&purple=red", 'Unknown query parameter "purple": known are '],
])("GET %s is refused with the words: %s", async (path, words) => {
  await using server = await open();
  const { status, body } = await server.call("GET", path);
  expect([status, body.title]).toEqual([400, "Invalid request"]);
  expect(body.detail).toStartWith(words);
});

test.each([
  ["/v1/jobs", { ...PULL, force: "yes" }, "force must be true or false"],
  ["/v1/jobs", { ...PULL, now: "yes" }, "now must be true or false"],
  ["/v1/jobs", { ...PULL, model: "" }, "model must not be empty"],
  ["/v1/jobs", { ...PULL, model: 4 }, "model must be a text"],
  ["/v1/jobs", { ...PULL, kind: "push" }, "kind must be pull"],
  ["/v1/jobs", { model: "phi4", agent: "gpu-1" }, 'Unknown field "agent": did you mean "agents"?; kind is missing; '],
  ["/v1/jobs", { ...PULL, unknown: 1 }, 'Unknown field "unknown": known are kind, model, agents, force, now'],
  [COPY, {}, "destination is missing"],
  [COPY, { destination: "b", force: true }, 'Unknown field "force": known are destination'],
  ["/v1/agents/gpu-1/trust", { keys: "x" }, 'Unknown field "keys": did you mean "key"?'],
  ["/v1/agents/gpu-1/trust", { key: "x", unsigned: true }, "key and unsigned exclude each other"],
  ["/v1/agents/gpu-1/trust", [], "The body must be an object"],
])("POST %s with %j is refused with the words: %s", async (path, sent, words) => {
  await using server = await open();
  const { status, body } = await server.call("POST", path, { body: sent });
  expect([status, body.title]).toEqual([400, "Invalid request"]);
  expect(body.detail).toStartWith(words);
  expect(server.agent.commands).toEqual([]);
});

test("no refusal has words of the schemas' library", async () => {
  await using server = await open();
  const wrong = [
    null,
    1,
    "x",
    true,
    [],
    [{}],
    { kind: [], model: {}, agents: 1, force: 0 },
    { agents: [1, null, "gpu-1"] },
  ];
  for (const body of wrong) {
    const { status, body: answer } = await server.call("POST", "/v1/jobs", { body: JSON.stringify(body) });
    expect(status).toBe(400);
    expect(answer.detail).not.toMatch(/Invalid|expected|received|Too (?:small|big)|Unrecognized/);
  }
});

test("the routes under /api ignore what they do not know, because their clients exist", async () => {
  await using server = await open();
  const body = { model_name: "phi4", nope: 1 };
  expect((await server.call("GET", "/api/config/models?nope=1")).status).toBe(200);
  expect((await server.call("GET", "/api/models?nope=1")).status).toBe(200);
  expect((await server.call("POST", "/api/config/pull-model?nope=1", { body })).status).toBe(200);
  expect((await server.call("POST", "/api/models/phi4?nope=1")).status).toBe(200);
  const missing = await server.call("POST", "/api/config/pull-model", { body: {} });
  expect([missing.status, missing.body]).toEqual([400, { detail: "model_name is missing" }]);
});

test("a hint names the routes, not the commands of gpuctl, under /v1", async () => {
  await using server = await openServer();
  const answer = (hint: string) => () => ({ success: false, code: "not_found" as const, error: "no", hint });
  await ScriptedAgent.open(server.store, "gpu-1", { answer: answer("gpuctl list shows the installed models") });
  await ScriptedAgent.open(server.store, "gpu-2", { answer: answer("gpuctl list shows what is installed") });
  for (const agent of ["gpu-1", "gpu-2"]) {
    const { body } = await server.call("DELETE", `/v1/agents/${agent}/models/phi4`);
    expect(body.hint).toBe(`GET /v1/agents/${agent}/models lists the installed models`);
  }
  const { body } = await server.call("GET", "/v1/agents/gpu-1/models/none");
  expect(body).toMatchObject({ title: "Not found", hint: "GET /v1/agents/gpu-1/models lists its models" });
});
