// What the body of a session says that its caller may do, against what the routes let it do.
import { expect, test } from "bun:test";
import { RouteVerb } from "#src/server/access/sessions/permissions.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

/** A request for each permission, which fails in another way if it is permitted. */
const REQUESTS: Readonly<Record<string, readonly [method: string, path: string, body?: object]>> = {
  ping: ["POST", "/v1/agents/gpu-1/ping"],
  list_models: ["GET", "/v1/models"],
  show_model: ["GET", "/v1/agents/gpu-1/models/none"],
  list_running: ["GET", "/v1/agents/gpu-1/running"],
  list_jobs: ["GET", "/v1/jobs"],
  pull_model: ["POST", "/v1/jobs", {}],
  cancel_job: ["POST", `/v1/jobs/${Bun.randomUUIDv7()}/cancel`],
  copy_model: ["POST", "/v1/agents/gpu-1/models/none/copy", {}],
  load_model: ["POST", "/v1/agents/gpu-1/models/none/load"],
  disk_usage: ["GET", "/v1/agents/gpu-1/disk"],
  prune: ["POST", "/v1/agents/gpu-1/prune"],
  published_model: ["GET", "/v1/fit?model=none"],
  unload_model: ["POST", "/v1/agents/gpu-1/models/none/unload"],
  delete_model: ["DELETE", "/v1/agents/gpu-1/models/none"],
  set_active_models: ["POST", "/v1/active-models", {}],
  trust_agents: ["POST", "/v1/agents/gpu-1/trust", { key: 1 }],
  forget_agents: ["DELETE", "/v1/agents/gpu-9"],
  examine: ["GET", "/v1/doctor"],
  read_audit: ["GET", "/v1/audit"],
  show_setup: ["GET", "/v1/setup"],
  manage_tokens: ["GET", "/v1/tokens"],
};

test("what /v1/session says that a caller may do is what the routes let it do", async () => {
  const clock = new ManualClock(Date.now());
  await using server = await openServer({ clock, managesTokens: true });
  await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
  const none = { expiresAtMs: null, agents: null, verbs: null };
  const tokens = [
    server.gp,
    server.viewer,
    server.tokens.add("scoped", "gp", { ...none, agents: ["gpu-1"] }),
    server.tokens.add("puller", "gp", { ...none, verbs: ["list_jobs", "pull_model"] }),
    server.tokens.add("lister", "viewer", { ...none, agents: ["gpu-1"], verbs: ["list_models"] }),
  ];
  for (const token of tokens) {
    const { name, may } = (await server.call("GET", "/v1/session", { token })).body;
    const { change, ...permissions } = may;
    expect(Object.keys(permissions).toSorted()).toEqual(Object.keys(REQUESTS).toSorted());
    for (const [what, [method, path, body]] of Object.entries(REQUESTS)) {
      const { status } = await server.request(method, path, { token, ...(body === undefined ? {} : { body }) });
      expect([name, what, status !== 403]).toEqual([name, what, permissions[what]]);
    }
    expect([name, change]).toEqual([name, ["platform", "scoped", "puller"].includes(name)]);
  }
  expect(Object.keys(REQUESTS)).toEqual(expect.arrayContaining([...RouteVerb.options]));
});
