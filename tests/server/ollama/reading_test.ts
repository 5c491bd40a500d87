// /agents/{agent}: what a box has, in Ollama's words.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import type { RunningModel } from "#src/protocol.ts";
import { modelOf, ScriptedAgent, SHOWN } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const DIGEST = "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba";
const PHI4 = modelOf("phi4:latest", { digest: DIGEST });
const OLD = modelOf("me/old:1b", { digest: "12", modified_at: "yesterday" });
const LOADED: RunningModel = {
  name: "phi4:latest",
  size: 10e9,
  size_vram: 4e9,
  expires_at: "2026-03-01T10:05:00.123456789+01:00",
};
const CLI = { "user-agent": "ollama/0.32.15 (amd64 linux) Go/go1.26" };

describe("the root of a box", () => {
  test("greets without a token, also under names that no box has", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    for (const path of ["/agents/gpu-1", "/agents/gpu-1/", "/agents/gpu-1//", "/agents/unknown"]) {
      const response = await server.request("GET", path, { token: null });
      expect([path, response.status, await response.text()]).toEqual([path, 200, "Ollama is running"]);
      const head = await server.request("HEAD", path, { token: null });
      expect([head.status, head.headers.get("content-length")]).toEqual([200, "17"]);
    }
    expect((await server.call("GET", "/agents/GPU_1", { token: null })).status).toBe(404);
  });
});

describe("GET api/tags", () => {
  test("lists what the box publishes, with every field that clients read", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4, OLD] });
    const { status, body, headers } = await server.call("GET", "/agents/gpu-1/api/tags");
    expect([status, headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    const none = { parent_model: "", format: "", family: "", families: null };
    const details = { ...none, parameter_size: "", quantization_level: "" };
    expect(body.models).toEqual([
      {
        name: "phi4:latest",
        model: "phi4:latest",
        modified_at: PHI4.modified_at,
        size: PHI4.size,
        digest: DIGEST,
        details,
      },
      {
        name: "me/old:1b",
        model: "me/old:1b",
        modified_at: "0001-01-01T00:00:00Z",
        size: OLD.size,
        digest: "0".repeat(64),
        details,
      },
    ]);
    expect(agent.commands).toEqual([]);
  });

  test("of a box without models is an empty list, whatever slashes a client adds", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    for (const path of ["/agents/gpu-1/api/tags", "/agents/gpu-1//api/tags", "/agents/gpu-1/api/tags/"])
      expect((await server.call("GET", path)).body).toEqual({ models: [] });
    expect((await server.call("GET", "/agents/gpu-1/v1/models")).body).toEqual({ object: "list", data: [] });
  });

  test("asks the box whose list does not fit its state document", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    await agent.publish({ truncated: ["models"], models: [] });
    expect((await server.call("GET", "/agents/gpu-1/api/tags")).body.models).toHaveLength(1);
  });
});

test("GET api/version is digits only", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  const health = { reachable: true, error: null, checked_at: agent.now() };
  await agent.publish({ ollama: { ...health, version: "0.32.15-rc2+dirty" } });
  await server.services.fleet.refresh("gpu-1");
  expect((await server.call("GET", "/agents/gpu-1/api/version")).body).toEqual({ version: "0.32.15" });
});

test("GET api/version is the last known one of a box that is away, or not reachable at all", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  await agent.publish({ status: "stopped" });
  await server.services.fleet.refresh("gpu-1");
  const version = async () => (await server.call("GET", "/agents/gpu-1/api/version")).body;
  expect(await version()).toEqual({ version: "0.12.0" });
  expect((await server.call("GET", "/agents/gpu-2/api/version")).status).toBe(404);
  server.store.interrupt(new CourierError("unavailable", "The share is away"));
  expect(await version()).toEqual({ version: "0.12.0" });
});

test("GET api/version of a box that never published one fails as text, which Open WebUI does not read", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  const health = { reachable: false, version: null, error: "connection refused", checked_at: agent.now() };
  await agent.publish({ ollama: health });
  await server.services.fleet.refresh("gpu-1");
  const response = await server.request("GET", "/agents/gpu-1/api/version");
  expect([response.status, response.headers.get("content-type")]).toEqual([503, "text/plain; charset=UTF-8"]);
  expect(await response.text()).toContain("connection-refused");
});

test("GET api/ps lists what is in memory", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
  agent.running = [LOADED, { ...LOADED, name: "long:1b", digest: DIGEST, expires_at: "2318-03-01T10:05:00Z" }];
  await agent.publish();
  await server.services.fleet.refresh("gpu-1");
  const { models } = (await server.call("GET", "/agents/gpu-1/api/ps")).body;
  expect(models.map(({ name }: { name: string }) => name)).toEqual(["long:1b", "phi4:latest"]);
  expect(models[1]).toMatchObject({ size_vram: 4e9, context_length: 0, digest: "0".repeat(64), model: "phi4:latest" });
});

describe("POST api/show", () => {
  test("never shows what another box shows, for a model that both list alike", async () => {
    await using server = await openServer();
    for (const name of ["gpu-1", "gpu-2"])
      await ScriptedAgent.open(server.store, name, {
        models: [PHI4],
        answer: () => ({ show: { template: `of ${name}` }, models: [PHI4] }),
      });
    const template = async (agent: string) =>
      (await server.call("POST", `/agents/${agent}/api/show`, { body: { model: "phi4" } })).body.template;
    expect([await template("gpu-1"), await template("gpu-2")]).toEqual(["of gpu-1", "of gpu-2"]);
  });

  test("asks the box once, and reads model before name", async () => {
    await using server = await openServer();
    const listed = { ...PHI4, details: { context_length: 16_384, embedding_length: 5_120 } };
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [listed] });
    for (const body of [{ model: "phi4" }, { model: "", name: "PHI4:latest" }, { model: "phi4", name: "other" }]) {
      const { status, body: shown } = await server.call("POST", "/agents/gpu-1/api/show", { body });
      expect([status, shown.template, shown.modified_at]).toEqual([200, SHOWN.template, PHI4.modified_at]);
      expect(shown.details).toMatchObject({ family: "llama", parent_model: "" });
      expect(Object.keys(shown.details)).not.toContain("context_length");
    }
    expect(agent.commands.filter(({ command }) => command === "show_model")).toHaveLength(1);
  });

  test("reads, so that a viewer may use it, and the audit has nothing of it", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const call = { body: { model: "phi4" }, token: server.viewer };
    expect((await server.call("POST", "/agents/gpu-1/api/show", call)).status).toBe(200);
    expect(server.services.audit.read({}, { limit: 5 })).toEqual([]);
  });

  test.each([
    [{ model: "none" }, 404, "model 'none:latest' not found"],
    [{ model: "none:cloud" }, 404, "model 'none:cloud' not found"],
    [{}, 400, "model is required"],
    [{ model: "a b" }, 400, "invalid model name"],
    ["", 400, "missing request body"],
    ["[]", 400, "The body must be an object"],
    [{ model: 7 }, 400, "model must be a text"],
    ["{", 400, "invalid request: the body is not valid JSON"],
  ])("refuses %p", async (body, status, error) => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const answer = await server.call("POST", "/agents/gpu-1/api/show", { body });
    expect([answer.status, answer.body]).toEqual([status, { error }]);
  });
});

describe("OpenAI's list", () => {
  test("has each model, also one whose name has a slash", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4, OLD] });
    const phi4 = { id: "phi4:latest", object: "model", created: 1772355600, owned_by: "library" };
    const { body } = await server.call("GET", "/agents/gpu-1/v1/models");
    expect(body).toMatchObject({ object: "list", data: [phi4, { id: "me/old:1b", owned_by: "me" }] });
    expect((await server.call("GET", "/agents/gpu-1/v1/models/phi4")).body).toEqual(phi4);
    for (const id of ["me/old:1b", "me%2Fold:1b"])
      expect((await server.call("GET", `/agents/gpu-1/v1/models/${id}`)).body).toMatchObject({ id: "me/old:1b" });
  });

  test("refuses what is no name", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("GET", "/agents/gpu-1/v1/models/a%20b");
    expect([answer.status, answer.body.error.type]).toEqual([400, "invalid_request_error"]);
  });

  test("says in OpenAI's words that a model is missing", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const answer = await server.call("GET", "/agents/gpu-1/v1/models/none");
    const error = { message: "model 'none:latest' not found", type: "not_found_error", param: null, code: null };
    expect([answer.status, answer.body]).toEqual([404, { error }]);
  });
});

describe("a box that cannot answer", () => {
  test("is named with its reason, in words at which no client starts a server", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] });
    const health = { reachable: false, version: "0.32.15", error: "connection refused", checked_at: agent.now() };
    await agent.publish({ ollama: health });
    await server.services.fleet.refresh("gpu-1");
    for (const path of ["tags", "ps"]) {
      const answer = await server.call("GET", `/agents/gpu-1/api/${path}`, { headers: CLI });
      expect([path, answer.status]).toEqual([path, 503]);
      expect(answer.body.error).toContain("Ollama is not reachable: connection-refused");
    }
  });

  test("is 503 when it has stopped, and 404 when no box has this name", async () => {
    await using server = await openServer();
    await (await ScriptedAgent.open(server.store, "gpu-1", { models: [PHI4] })).publish({ status: "stopped" });
    await server.services.fleet.refresh("gpu-1");
    const away = await server.call("GET", "/agents/gpu-1/api/tags");
    expect([away.status, Object.keys(away.body)]).toEqual([503, ["error"]]);
    const unknown = await server.call("GET", "/agents/gpu-2/api/tags");
    expect([unknown.status, unknown.body.error]).toEqual([404, 'Unknown agent "gpu-2". Known agents: gpu-1']);
  });
});

describe("credentials", () => {
  test("may be a bearer token, or a password", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
    const ask = async (headers: Record<string, string>) =>
      (await server.call("GET", "/agents/gpu-1/api/tags", { token: null, headers })).status;
    expect(await ask({})).toBe(401);
    expect(await ask(basic(`anybody:${server.viewer}`))).toBe(200);
    expect(await ask(basic(`:${server.gp}`))).toBe(200);
    expect(await ask(basic("anybody:wrong"))).toBe(401);
    expect(await ask(basic(server.gp))).toBe(401);
    expect(await ask({ authorization: "Basic !" })).toBe(401);
    const elsewhere = { token: null, headers: basic(`anybody:${server.gp}`) };
    expect((await server.call("GET", "/v1/agents", elsewhere)).status).toBe(401);
  });

  test("that are missing get the ollama command a 403, whose text it prints", async () => {
    await using server = await openServer();
    const other = await server.call("GET", "/agents/gpu-1/api/tags", { token: null });
    expect([other.status, other.headers.has("www-authenticate")]).toEqual([401, true]);
    const cli = await server.call("GET", "/agents/gpu-1/api/tags", { token: null, headers: CLI });
    expect([cli.status, cli.headers.has("www-authenticate"), cli.body]).toEqual([403, false, other.body]);
    expect(cli.body.error).toStartWith("No token was sent. Send the header Authorization: Bearer TOKEN.");
  });

  test("of one box open no other one", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    await ScriptedAgent.open(server.store, "gpu-2");
    const token = server.tokens.add("one", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    expect((await server.call("GET", "/agents/gpu-1/api/tags", { token })).status).toBe(200);
    expect((await server.call("GET", "/agents/gpu-2/api/tags", { token })).status).toBe(404);
  });
});
