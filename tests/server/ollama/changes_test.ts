// /agents/{agent}: delete, copy, unload, and what is not offered.
import { describe, expect, test } from "bun:test";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const PHI4 = modelOf("phi4:latest");
const BOX = "/agents/gpu-1/api";

describe("DELETE api/delete and POST api/copy", () => {
  test("answer 200 with an empty body", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const copy = await server.request("POST", `${BOX}/copy`, { body: { source: "phi4", destination: "mine" } });
    expect([copy.status, await copy.text()]).toEqual([200, ""]);
    expect(agent.models.map(({ name }) => name)).toEqual(["phi4:latest", "mine:latest"]);
    for (const body of [{ model: "phi4" }, { model: "", name: "mine" }]) {
      const response = await server.request("DELETE", `${BOX}/delete`, { body });
      expect([response.status, await response.text()]).toEqual([200, ""]);
    }
    expect(agent.models).toEqual([]);
  });

  test.each([
    ["DELETE", "delete", { model: "none" }, 404, "model 'none' not found"],
    ["DELETE", "delete", { model: "a b" }, 400, 'name "a b" is invalid'],
    ["DELETE", "delete", {}, 400, "model is required"],
    ["DELETE", "delete", "", 400, "missing request body"],
    ["POST", "copy", { source: "none", destination: "mine" }, 404, 'model "none" not found'],
    ["POST", "copy", { source: "a b", destination: "mine" }, 400, 'source "a b" is invalid'],
    ["POST", "copy", { source: "phi4" }, 400, 'destination "" is invalid'],
  ])("%s %s of %p", async (method, route, body, status, error) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call(method, `${BOX}/${route}`, { body });
    expect([answer.status, answer.body]).toEqual([status, { error }]);
    expect(agent.models).toEqual([PHI4]);
  });

  test("refuse a protected model with 403", async () => {
    await using server = await openServer();
    const refusal = { success: false, code: "forbidden", error: "phi4 is protected", hint: "See --protect" } as const;
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4], answer: () => refusal });
    const answer = await server.call("DELETE", `${BOX}/delete`, { body: { model: "phi4" } });
    expect([answer.status, answer.body]).toEqual([403, { error: "phi4 is protected. See --protect" }]);
  });

  test("take any content type, as curl -d sends none of JSON", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const call = { body: '{"model":"phi4"}', headers };
    expect((await server.request("DELETE", `${BOX}/delete`, call)).status).toBe(200);
    expect(agent.models).toEqual([]);
  });

  test("are in the audit with who asked, and refused to a viewer", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const call = { body: { model: "phi4" }, token: server.viewer };
    expect((await server.call("DELETE", `${BOX}/delete`, call)).status).toBe(403);
    expect(server.services.audit.read({}, { limit: 5 })).toMatchObject([
      { agent: "gpu-1", who: "dashboard", outcome: "forbidden", request: "DELETE /agents/gpu-1/api/delete" },
    ]);
    expect(agent.commands).toEqual([]);
    await server.request("DELETE", `${BOX}/delete`, { body: { model: "phi4" } });
    expect(server.services.audit.read({}, { limit: 1 })).toMatchObject([
      { agent: "gpu-1", who: "platform", outcome: "ok", verb: "delete_model", model: "phi4:latest" },
    ]);
  });
});

describe("POST api/generate and api/chat without a prompt", () => {
  test.each([0, "0", "0s", "0m", "0h0m0s", 0.0])("unload at keep_alive %p", async (keep_alive) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const generate = await server.call("POST", `${BOX}/generate`, { body: { model: "phi4", prompt: "", keep_alive } });
    const said = { model: "phi4", created_at: expect.any(String), done: true, done_reason: "unload" };
    expect([generate.status, generate.body]).toEqual([200, { ...said, response: "" }]);
    const chat = await server.call("POST", `${BOX}/chat`, { body: { model: "phi4", messages: [], keep_alive } });
    expect(chat.body).toEqual({ ...said, message: { role: "assistant", content: "" } });
    expect(agent.commands.map(({ command }) => command)).toEqual(["unload_model", "unload_model"]);
  });

  test("report a missing model as Ollama does", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    for (const [route, body, status, error] of [
      ["generate", { model: "none", keep_alive: 0 }, 404, "model 'none' not found"],
      ["generate", { keep_alive: 0 }, 404, "model '' not found"],
      ["generate", { model: "a b", keep_alive: 0 }, 400, "invalid model name"],
      ["chat", { keep_alive: 0 }, 400, "model is required"],
    ] as const) {
      const answer = await server.call("POST", `${BOX}/${route}`, { body });
      expect([answer.status, answer.body]).toEqual([status, { error }]);
    }
  });

  test.each([undefined, null, 300, "10m", -1, "-1s"])("load at keep_alive %p", async (keep_alive) => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const { status, body } = await server.call("POST", `${BOX}/generate`, { body: { model: "phi4", keep_alive } });
    const said = { model: "phi4", created_at: expect.any(String), done: true, done_reason: "load", response: "" };
    expect([status, body]).toEqual([200, said]);
    expect(agent.running.map(({ name }) => name)).toEqual(["phi4:latest"]);
  });

  test("refuse a keep_alive of many zeros that is no duration, at once", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const body = { model: "phi4", keep_alive: `${"0".repeat(26)}x` };
    const startedMs = performance.now();
    expect((await server.call("POST", `${BOX}/generate`, { body })).status).toBe(400);
    // A pattern with two ways to read each zero took more than 10 s, in which the server did nothing else.
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  test("refuse a keep_alive that is no duration", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    for (const keep_alive of ["soon", true, "", {}])
      expect((await server.call("POST", `${BOX}/generate`, { body: { model: "phi4", keep_alive } })).status).toBe(400);
    expect(agent.commands).toEqual([]);
  });

  test("need the verb of what they do", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const token = server.tokens.add("one", "gp", { expiresAtMs: null, agents: null, verbs: ["unload_model"] });
    const ask = async (keep_alive: unknown) =>
      (await server.call("POST", `${BOX}/generate`, { body: { model: "phi4", keep_alive }, token })).status;
    expect([await ask(0), await ask("5m"), await ask("soon")]).toEqual([200, 403, 403]);
    expect(agent.commands).toHaveLength(1);
  });
});

describe("what a box does not offer", () => {
  const WORDS = "gpu-courier manages models; it does not carry prompts";

  test.each([
    ["generate", { model: "phi4", prompt: "Hello" }],
    ["generate", { model: "phi4", images: ["aGk="] }],
    ["chat", { model: "phi4", messages: [{ role: "user", content: "Hello" }] }],
    ["embed", { model: "phi4", input: "Hello" }],
    ["push", { model: "phi4" }],
    ["create", { model: "phi4" }],
    ["blobs/sha256:12", "bytes"],
    ["me", {}],
    ["experimental/web_search", {}],
  ])("api/%s is 501", async (route, body) => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call("POST", `${BOX}/${route}`, { body });
    expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([501, "false"]);
    expect(answer.body.error).toStartWith(WORDS);
  });

  test.each([
    ["api/generate", { model: "phi4", prompt: "my secret" }],
    ["api/generate", { model: "phi4", prompt: "my secret", images: "wrong" }],
    ["api/chat", { model: "phi4", messages: [{ role: "user", content: "my secret" }] }],
    ["api/embed", { model: "phi4", input: "my secret" }],
    ["v1/chat/completions", { messages: [{ role: "user", content: "my secret" }] }],
    ["api/unknown", { prompt: "my secret" }],
  ])("the prompt of a refused %s is not kept", async (route, body) => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const { status } = await server.call("POST", `/agents/gpu-1/${route}`, { body });
    expect(status).toBeGreaterThanOrEqual(400);
    const entries = server.services.audit.read({}, { limit: 10 });
    expect(entries).toMatchObject([{ who: "platform", agent: "gpu-1" }]);
    expect(JSON.stringify(entries)).not.toContain("secret");
  });

  test("v1/chat/completions is 501 in OpenAI's words, and not to be tried again", async () => {
    await using server = await openServer();
    const answer = await server.call("POST", "/agents/gpu-1/v1/chat/completions", { body: { model: "phi4" } });
    expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([501, "false"]);
    expect(answer.body.error).toMatchObject({ type: "api_error", message: expect.stringContaining(WORDS) });
  });

  test("also to a GET or HEAD", async () => {
    await using server = await openServer();
    for (const [method, path] of [
      ["HEAD", "api/blobs/sha256:12"],
      ["GET", "v1/batches"],
    ] as const)
      expect((await server.request(method, `/agents/gpu-1/${path}`)).status).toBe(501);
  });

  test("other paths and methods are 404 and 405", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    expect((await server.call("GET", `${BOX}/nothing`)).status).toBe(404);
    const wrong = await server.call("GET", `${BOX}/pull`);
    expect([wrong.status, Object.keys(wrong.body)]).toEqual([405, ["error"]]);
  });
});

test("the listener without tokens serves a box too, but no browser", async () => {
  await using server = await openServer();
  await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
  const host = { host: "127.0.0.1:8002" };
  const tags = await server.callTrusted("GET", `${BOX}/tags`, { headers: host });
  expect([tags.status, tags.body.models.length]).toEqual([200, 1]);
  const browser = { headers: { ...host, origin: "https://evil.example.org" } };
  expect((await server.callTrusted("GET", `${BOX}/tags`, browser)).status).toBe(403);
});
