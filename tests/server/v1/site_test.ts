// What a page needs of the site: the active models, the catalog, and how to add a box.
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { CourierError } from "#src/base/errors.ts";
import { createApi } from "#src/server/api.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

const KEY = "ed25519 Fmkn1OvtH9StlPSoVL4zGB/CsV10+dOg/J/E+msx3Ts=";
const NONE = { vision: null, text: null, scoring: null, science: null };

describe("/v1/active-models", () => {
  test("sets an installed model under its own name, as the platform's route does, and shows it to every token", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
    expect((await server.call("GET", "/v1/active-models")).body).toEqual(NONE);
    const set = await server.call("POST", "/v1/active-models", { body: { type: "text", model: "phi4" } });
    expect([set.status, set.body]).toEqual([200, { ...NONE, text: "phi4:latest" }]);
    const shown = await server.call("GET", "/v1/active-models", { token: server.viewer });
    expect(shown.body).toEqual(set.body);
    expect((await server.call("GET", "/api/config/models")).body.active_models).toEqual({ text: "phi4:latest" });
    expect(server.services.audit.read({}, { limit: 1 })).toMatchObject([{ request: "POST /v1/active-models" }]);
  });

  test("refuses a model that no agent has, and another purpose", async () => {
    await using server = await openServer();
    await ScriptedAgent.open(server.store, "gpu-1");
    for (const [body, status] of [
      [{ type: "text", model: "phi4" }, 404],
      [{ type: "sound", model: "phi4" }, 400],
      [{ type: "text" }, 400],
    ] as const)
      expect((await server.call("POST", "/v1/active-models", { body })).status).toBe(status);
    expect((await server.call("GET", "/v1/active-models")).body).toEqual(NONE);
  });

  test("shows what is set while the share is away", async () => {
    await using server = await openServer();
    server.store.interrupt(new CourierError("unavailable", "The share is away"));
    expect((await server.call("GET", "/v1/active-models")).status).toBe(200);
  });
});

test("GET /v1/catalog is the platform's list, also for a viewer", async () => {
  await using server = await openServer();
  const { body } = await server.call("GET", "/v1/catalog", { token: server.viewer });
  expect(body).toEqual((await server.call("GET", "/api/config/available-models")).body);
});

test("GET /v1/catalog counts the boxes that a model fits once its size is known, and never waits for a registry", async () => {
  const registry = await Registry.start();
  await using server = await openServer({ insecureRegistries: [registry.host] });
  const name = registry.offer("big", { layers: [10_000_000] });
  const models = [name, "not a name", "phi4"].map((each) => ({ name: each, description: "", size: "10 MB" }));
  const api = createApi({ ...server.services, catalog: { models } });
  const headers = { authorization: `Bearer ${server.viewer}` };
  const read = async (): Promise<unknown> =>
    await (await api.request("/v1/catalog", { headers }, { requestIP: () => ({ address: "127.0.0.1" }) })).json();
  expect(await read()).toEqual({ models });
  for (const [agent, bytes] of [
    ["gpu-1", 24e9],
    ["gpu-2", 24e9],
    ["gpu-3", 1e8],
  ] as const) {
    const opened = await ScriptedAgent.open(server.store, agent);
    const gpu = { index: 0, uuid: "GPU-1", name: "H200", memory_total_bytes: bytes, memory_used_bytes: 0 };
    await opened.publish({ gpus: [gpu], memory: { total_bytes: 64e9, available_bytes: 1e9 } });
    await server.services.fleet.refresh(agent);
  }
  // Its registry is asked from now on.
  expect(await read()).toEqual({ models });
  const [first, ...others] = models;
  const fit = { fits: 2, fits_partly: 1, does_not_fit: 0, unknown: 0 };
  await until(async () => JSON.stringify(await read()) === JSON.stringify({ models: [{ ...first, fit }, ...others] }));
  expect(registry.manifestRequests("big")).toBe(1);
  await registry.stop();
});

describe("GET /v1/setup", () => {
  test("has the command that installs an agent on this share", async () => {
    await using server = await openServer();
    const { body } = await server.call("GET", "/v1/setup", { token: server.viewer });
    expect(body).toMatchObject({
      share: "/mnt/shared",
      transport: null,
      trusted_keys: [],
      commands: ["sudo ./install.sh --share /mnt/shared"],
    });
  });

  test("has the address of NATS where the server uses that", async () => {
    await using server = await openServer();
    const setup = () => ({ address: "nats://one:4222,two", natsPrefix: "lab", trustedKeys: [], operatorKeys: [] });
    const headers = { authorization: `Bearer ${server.gp}` };
    const response = await createApi({ ...server.services, setup }).request("/v1/setup", { headers }, {});
    expect(await response.json()).toMatchObject({
      share: "nats://one:4222,two",
      transport: "nats://one:4222,two",
      commands: ["sudo ./install.sh --transport nats://one:4222,two --nats-prefix lab"],
    });
  });

  test("gives a box the keys before the agent, once, in a form that a shell takes", async () => {
    await using server = await openServer();
    const [trusted, operator] = [`${KEY} server@platform`, `${KEY} olga not-after=2027-06-01`];
    const setup = () => ({ address: "/mnt/it's here", trustedKeys: [trusted], operatorKeys: [operator] });
    const headers = { authorization: `Bearer ${server.gp}` };
    const response = await createApi({ ...server.services, setup }).request("/v1/setup", { headers }, {});
    const { commands, ...keys } = JSON.parse(await response.text());
    expect(keys).toMatchObject({ trusted_keys: [trusted], operator_keys: [operator] });
    expect(commands.at(-1)).toBe(String.raw`sudo ./install.sh --share '/mnt/it'\''s here'`);
    const dir = await mkdtemp(join(tmpdir(), "gpu-courier-setup-"));
    const script = commands.slice(0, -1).join("\n").replaceAll("sudo ", "").replaceAll("/etc/gpu-courier", dir);
    for (let round = 0; round < 2; round++) expect(Bun.spawnSync(["sh", "-ec", script]).exitCode).toBe(0);
    const textOf = async (name: string): Promise<string> => await Bun.file(join(dir, name)).text();
    expect([await textOf("trusted_keys"), await textOf("operator_keys")]).toEqual([`${trusted}\n`, `${operator}\n`]);
    expect(await textOf("agent.env")).toBe(
      `GPU_COURIER_OPERATOR_KEYS=${dir}/operator_keys\nGPU_COURIER_TRUSTED_KEYS=${dir}/trusted_keys\n`,
    );
    await rm(dir, { recursive: true });
  });
});
