// The routes of the mirror, and pulls that follow a fetch.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { Registry } from "#sim/registry/registry.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { FetchStore } from "#src/server/models/mirror/fetch_store.ts";
import { writeSignature } from "#src/transport/mirror/signatures.ts";
import { signingKey } from "#src/trust/keys.ts";
import { signModel } from "#src/trust/signed_model.ts";
import { answerAsLegacyService } from "#tests/support/sites/client_run.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

const MB = 1_000_000;

let site: MirrorShare;
let registry: Registry;
let server: ServerUnderTest;
let stop: AbortController;
let running: Promise<void> | undefined;
const agents: ScriptedAgent[] = [];
beforeEach(async () => {
  site = new MirrorShare();
  registry = await Registry.start();
  server = await openServer({ mirrorShare: site.share, insecureRegistries: [registry.host] });
  stop = new AbortController();
  running = server.services.mirror?.fetches.run(stop.signal);
});
afterEach(async () => {
  stop.abort();
  await running;
  for (const agent of agents.splice(0)) await agent.close();
  await server[Symbol.asyncDispose]();
  await registry.stop();
  site[Symbol.dispose]();
});

async function box(name: string, models: readonly ReturnType<typeof modelOf>[] = []): Promise<ScriptedAgent> {
  const agent = await ScriptedAgent.open(server.store, name, { models: [...models] });
  agents.push(agent);
  await agent.publish();
  await until(async () => (await server.call("GET", "/v1/agents")).body.agents.length === agents.length);
  return agent;
}

async function ended(id: string) {
  await until(async () => (await server.call("GET", `/v1/mirror/fetches/${id}`)).body.finished_at !== null);
  return (await server.call("GET", `/v1/mirror/fetches/${id}`)).body;
}

/** Once all its pulls have been sent. */
async function followed(id: string) {
  await until(async () => {
    const { pulls } = (await server.call("GET", `/v1/mirror/fetches/${id}`)).body;
    return pulls.every(({ job }: { job: string | null }) => job !== null);
  });
  return await ended(id);
}

const pullsOf = (agent: ScriptedAgent): string[] =>
  agent.commands.filter(({ command }) => command === "pull_model").map((command) => JSON.stringify(command));

describe("GET /v1/mirror", () => {
  test("lists the models with the agents that have exactly them, or others of the name", async () => {
    const { text } = site.mirrored("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
    site.mirrored("registry.ollama.ai/library/qwen3/8b", ["small"]);
    const digest = new Bun.CryptoHasher("sha256").update(text).digest("hex");
    await box("gpu-1", [modelOf("phi4:latest", { digest })]);
    await box("gpu-2", [modelOf("phi4:latest", { digest: "0".repeat(64) })]);
    const key = signingKey(generateKeyPairSync("ed25519").privateKey);
    await writeSignature(site.mirror, parseModelName("phi4"), signModel({ name: "phi4:latest", digest }, "now", key));
    const { status, body } = await server.call("GET", "/v1/mirror", { token: server.viewer });
    expect(status).toBe(200);
    expect(body).toMatchObject({ folder: site.mirror.path, bytes: 18 });
    expect(body.models).toMatchObject([
      {
        name: "phi4:latest",
        digest,
        size: 13,
        missing_blobs: 0,
        signed_by: key.id,
        agents: ["gpu-1"],
        other_agents: ["gpu-2"],
      },
      { name: "qwen3:8b", signed_by: null, agents: [], other_agents: [] },
    ]);
  });

  test("is 501 where gpu-server runs no mirror", async () => {
    await using other = await openServer();
    for (const [method, path] of [
      ["GET", "/v1/mirror"],
      ["GET", "/v1/mirror/fetches"],
      ["POST", "/v1/mirror/gc"],
    ] as const) {
      const { status, body } = await other.call(method, path);
      expect([path, status, body.code]).toEqual([path, 501, "unimplemented"]);
      expect(body.hint).toContain("--mirror");
    }
    const pull = { kind: "pull", model: "phi4", agents: "all", via: "mirror" };
    expect((await other.call("POST", "/v1/jobs", { body: pull })).status).toBe(501);
  });
});

describe("/v1/mirror/fetches", () => {
  test("fetches a model once for all that ask, and lists it", async () => {
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: 400_000 });
    const first = await server.call("POST", "/v1/mirror/fetches", { body: { model } });
    expect([first.status, first.body.model, first.body.requested_by, first.body.agent]).toEqual([
      202,
      model,
      "platform",
      null,
    ]);
    const second = await server.call("POST", "/v1/mirror/fetches", { body: { model } });
    expect(second.body.id).toBe(first.body.id);
    registry.setSpeed("m", Infinity);
    expect(await ended(first.body.id)).toMatchObject({ state: "succeeded", bytes_per_second: null, pulls: [] });
    const { body } = await server.call("GET", "/v1/mirror/fetches", { token: server.viewer });
    expect(body.fetches).toHaveLength(1);
    expect(body.fetches[0]).not.toHaveProperty("pulls");
    expect((await server.call("GET", "/v1/mirror")).body.models).toMatchObject([{ name: model, missing_blobs: 0 }]);
  });

  test("refuses a viewer, a token for some agents, an invalid name, and a registry that is not allowed", async () => {
    const scoped = server.tokens.add("scoped", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    const ask = async (body: object, token = server.gp) =>
      await server.call("POST", "/v1/mirror/fetches", { body, token });
    expect((await ask({ model: "phi4" }, server.viewer)).status).toBe(403);
    const { status, body } = await ask({ model: "phi4" }, scoped);
    expect([status, body.detail]).toEqual([403, 'Token "scoped" may not use pull_model for all agents']);
    expect((await ask({ model: "a b" })).status).toBe(400);
    expect((await ask({ model: "registry.example/library/phi4" })).status).toBe(403);
    expect((await server.call("GET", "/v1/mirror/fetches")).body.fetches).toEqual([]);
    const entries = (await server.call("GET", "/v1/audit")).body.entries;
    expect(
      entries.map(({ request, outcome }: { request: string; outcome: string }) => [request, outcome]),
    ).toContainEqual(["POST /v1/mirror/fetches", "forbidden"]);
  });

  test("cancels a fetch, and with it the pulls that would follow", async () => {
    const agent = await box("gpu-1");
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: 100_000 });
    const pull = { kind: "pull", model, agents: ["gpu-1"], via: "mirror" };
    const { id } = (await server.call("POST", "/v1/jobs", { body: pull })).body.fetch;
    expect((await server.call("DELETE", `/v1/mirror/fetches/${id}`)).body).toMatchObject({ state: "cancelled" });
    expect((await followed(id)).pulls).toMatchObject([{ agent: "gpu-1", code: "cancelled" }]);
    expect(pullsOf(agent)).toEqual([]);
    const none = "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05";
    expect((await server.call("DELETE", `/v1/mirror/fetches/${none}`)).status).toBe(404);
  });
});

describe("/v1/mirror/fetches, of agents", () => {
  const FETCH = {
    id: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
    model: "phi4:latest",
    state: "running",
    completed_bytes: 12.5,
    created_at: "2026-01-02T03:04:05.000Z",
    code: "strange",
  } as const;

  test("are listed as their states show them, started there, and cancelled there", async () => {
    const agent = await box("gpu-1");
    agent.answer = ({ command }) => ({
      fetch: { ...FETCH, ...(command === "cancel_job" ? { state: "cancelled", code: "cancelled" } : {}) },
    });
    const started = await server.call("POST", "/v1/mirror/fetches", { body: { model: "phi4", agent: "gpu-1" } });
    expect([started.status, started.body.agent, started.body.state]).toEqual([202, "gpu-1", "running"]);
    await agent.publish({ fetches: [FETCH] });
    const list = async () => (await server.call("GET", "/v1/mirror/fetches")).body.fetches;
    await until(async () => (await list()).length === 1);
    const shown = { agent: "gpu-1", completed_bytes: 13, total_bytes: null, finished_at: null, code: "internal" };
    expect(await list()).toMatchObject([{ ...shown, id: FETCH.id, model: "phi4:latest" }]);
    expect((await server.call("GET", `/v1/mirror/fetches/${FETCH.id}`)).body).toMatchObject(shown);
    expect((await server.call("DELETE", `/v1/mirror/fetches/${FETCH.id}`)).body.state).toBe("cancelled");
    expect(agent.commands.map(({ command }) => command)).toEqual(["fetch_model", "cancel_job"]);
    expect(agent.commands[1]?.arguments).toEqual({ job_id: FETCH.id });
  });

  test("do not hide one of gpu-server's with the same id", async () => {
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: 100_000 });
    const { id } = (await server.call("POST", "/v1/mirror/fetches", { body: { model } })).body;
    const agent = await box("gpu-1");
    await agent.publish({ fetches: [{ ...FETCH, id }] });
    await until(async () => (await server.call("GET", "/v1/mirror/fetches")).body.fetches.length === 2);
    expect((await server.call("GET", `/v1/mirror/fetches/${id}`)).body).toMatchObject({ agent: null, model });
    expect((await server.call("DELETE", `/v1/mirror/fetches/${id}`)).body).toMatchObject({ state: "cancelled", model });
    expect(agent.commands).toEqual([]);
  });

  test("fail as the agent says", async () => {
    const agent = await box("gpu-1");
    agent.answer = () => ({ success: false, error: "This box is no source", code: "forbidden" });
    const refused = await server.call("POST", "/v1/mirror/fetches", { body: { model: "phi4", agent: "gpu-1" } });
    expect([refused.status, refused.body.said_by]).toEqual([403, "gpu-1"]);
    const unknown = await server.call("POST", "/v1/mirror/fetches", { body: { model: "phi4", agent: "gpu-9" } });
    expect(unknown.status).toBe(404);
  });
});

describe("DELETE /v1/mirror/models/{model} and POST /v1/mirror/gc", () => {
  test("remove a model, and nothing while it is fetched", async () => {
    site.mirrored("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
    expect((await server.call("DELETE", "/v1/mirror/models/phi4", { token: server.viewer })).status).toBe(403);
    const { body } = await server.call("DELETE", "/v1/mirror/models/phi4");
    expect(body).toEqual({ model: "phi4:latest", files: 2, bytes: 13 });
    expect(existsSync(site.at("manifests/registry.ollama.ai/library/phi4/latest"))).toBe(false);
    expect((await server.call("DELETE", "/v1/mirror/models/phi4")).status).toBe(404);
    expect((await server.call("POST", "/v1/mirror/gc")).body).toEqual({ files: 0, bytes: 0 });
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: 100_000 });
    const { id } = (await server.call("POST", "/v1/mirror/fetches", { body: { model } })).body;
    expect((await server.call("DELETE", `/v1/mirror/models/${encodeURIComponent(model)}`)).status).toBe(409);
    expect((await server.call("POST", "/v1/mirror/gc")).status).toBe(409);
    await server.call("DELETE", `/v1/mirror/fetches/${id}`);
  });
});

describe('POST /v1/jobs with "via": "mirror"', () => {
  const pull = async (body: object, token = server.gp) =>
    await server.call("POST", "/v1/jobs", { body: { kind: "pull", via: "mirror", ...body }, token });

  test("fetches once, then pulls on every agent, as the caller asked", async () => {
    const boxes = [await box("gpu-1"), await box("gpu-2")];
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: 400_000 });
    const { status, body } = await pull({ model, agents: "all", force: true, now: true });
    expect([status, body.jobs, body.fetch.model]).toEqual([202, [], model]);
    expect(body.fetch.pulls).toEqual(
      ["gpu-1", "gpu-2"].map((agent) => ({ agent, job: null, code: null, error: null })),
    );
    expect((await pull({ model, agents: ["gpu-1"] })).body.fetch.id).toBe(body.fetch.id);
    registry.setSpeed("m", Infinity);
    const { pulls } = await followed(body.fetch.id);
    for (const [index, agent] of boxes.entries()) {
      expect(pullsOf(agent)).toHaveLength(1);
      expect(pullsOf(agent)[0]).toContain('"force":true');
      expect(pullsOf(agent)[0]).toContain('"now":true');
      expect(pullsOf(agent)[0]).toContain("platform");
      const job = await server.call("GET", `/v1/jobs/${pulls[index].job}`);
      expect(job.body).toMatchObject({ agent: agent.name, model });
    }
    expect(registry.served("m").bytes).toBe(MB);
  });

  test("is audited in the name of the user who asked, not of the request that began the fetch", async () => {
    for (const name of ["gpu-1", "gpu-2"]) await box(name);
    const other = server.tokens.add("other", "gp", { expiresAtMs: null, agents: null, verbs: null });
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: 400_000 });
    const { id } = (await pull({ model, agents: ["gpu-1"] })).body.fetch;
    await pull({ model, agents: ["gpu-2"] }, other);
    registry.setSpeed("m", Infinity);
    await followed(id);
    const { entries } = (await server.call("GET", "/v1/audit")).body;
    const sent = entries.filter(({ verb }: { verb: string | null }) => verb === "pull_model");
    const shown = sent.map(({ agent, who, request }: Record<string, string>) => [agent, who, request]);
    expect(shown.toSorted()).toEqual([
      ["gpu-1", "platform", `fetch ${id}`],
      ["gpu-2", "other", `fetch ${id}`],
    ]);
  });

  test("fails the pulls of a fetch that fails, with its reason", async () => {
    const agent = await box("gpu-1");
    const { body } = await pull({ model: `${registry.host}/library/none`, agents: ["gpu-1"] });
    const fetch = await followed(body.fetch.id);
    expect(fetch).toMatchObject({ state: "failed", code: "not_found" });
    expect(fetch.pulls).toMatchObject([
      { agent: "gpu-1", code: "not_found", error: expect.stringContaining("Not in the mirror") },
    ]);
    const job = (await server.call("GET", `/v1/jobs/${fetch.pulls[0].job}`)).body;
    expect(job).toMatchObject({ agent: "gpu-1", state: "failed", code: "not_found", requested_by: "platform" });
    expect(pullsOf(agent)).toEqual([]);
  });

  test("do not show where the share is", async () => {
    await box("gpu-1");
    mkdirSync(site.at());
    writeFileSync(site.at("blobs"), "no folder");
    const { id } = (await pull({ model: registry.offer("m", { layers: [1000] }), agents: ["gpu-1"] })).body.fetch;
    await followed(id);
    expect((await server.call("GET", `/v1/mirror/fetches/${id}`)).body.error).toContain(site.share);
    const token = server.tokens.add("some", "viewer", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    for (const path of [`/v1/mirror/fetches/${id}`, "/v1/jobs"]) {
      const { status, body } = await server.call("GET", path, { token });
      expect([status, JSON.stringify(body)]).toEqual([200, expect.stringContaining("Not in the mirror: ")]);
      expect(JSON.stringify(body)).not.toContain(site.share);
    }
  });

  test("refuses unknown agents at once, and a token that is limited to some", async () => {
    await box("gpu-1");
    const model = registry.offer("m", { layers: [1000] });
    const unknown = await pull({ model, agents: ["gpu-8", "gpu-9"] });
    expect([unknown.status, unknown.body.code]).toEqual([404, "not_found"]);
    expect((await server.call("GET", "/v1/mirror/fetches")).body.fetches).toEqual([]);
    const { body } = await pull({ model, agents: ["gpu-1", "gpu-9"] });
    expect(body.jobs).toMatchObject([{ agent: "gpu-9", state: "failed", code: "not_found" }]);
    expect(body.refusals).toMatchObject([{ agent: "gpu-9", code: "not_found" }]);
    expect(body.fetch.pulls).toMatchObject([{ agent: "gpu-1" }]);
    await followed(body.fetch.id);
    const scoped = server.tokens.add("scoped", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
    expect((await pull({ model, agents: ["gpu-1"] }, scoped)).status).toBe(403);
    const reader = server.tokens.add("reader", "gp", { expiresAtMs: null, agents: null, verbs: ["list_jobs"] });
    expect((await pull({ model, agents: ["gpu-1"] }, reader)).status).toBe(403);
  });

  test("ends the pull of a legacy service, whose jobs have no id", async () => {
    await answerAsLegacyService(server.store, { success: true, message: "Successfully pulled" });
    await until(async () => (await server.call("GET", "/v1/agents")).body.agents?.length === 1);
    const { body } = await pull({ model: registry.offer("m", { layers: [1000] }), agents: ["gpu"] });
    expect((await followed(body.fetch.id)).pulls).toEqual([{ agent: "gpu", job: "", code: null, error: null }]);
  });

  test("sends pulls again that a crash came between, and shows where an agent refused", async () => {
    const agent = await box("gpu-1");
    agent.answer = () => ({ success: false, error: "No room", code: "exhausted" });
    const store = new FetchStore(server.database);
    store.add({
      id: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
      model: "phi4:latest",
      created_at_ms: 0,
      requested_by: null,
    });
    const [{ id } = { id: "" }] = store.list();
    store.addPulls(id, [{ agent: "gpu-1", force: 0, now: 0, requested_by: "platform" }]);
    store.end(id, { state: "succeeded", code: null, error: null }, 1);
    stop.abort();
    await running;
    stop = new AbortController();
    running = server.services.mirror?.fetches.run(stop.signal);
    expect((await followed(id)).pulls).toMatchObject([{ agent: "gpu-1", code: "exhausted" }]);
    expect(pullsOf(agent)).toHaveLength(1);
  });
});
