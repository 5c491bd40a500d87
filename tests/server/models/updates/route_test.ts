// GET /v1/updates: answers that callers share.
import { expect, test } from "bun:test";
import { createApi } from "#src/server/api.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

test("GET /v1/updates keeps what an agent answers, although the first caller has gone away", async () => {
  await using server = await openServer();
  const asked = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const published = { digest: "b".repeat(64), total_bytes: 1, weights_bytes: null };
  const agent = await ScriptedAgent.open(server.store, "gpu-1", {
    models: [modelOf("phi4:latest")],
    answer: async () => {
      asked.resolve();
      await held.promise;
      return { published };
    },
  });
  await agent.publish();
  await until(async () => (await server.call("GET", "/v1/agents")).body.agents.length === 1);
  const gone = new AbortController();
  const api = createApi(server.services);
  const headers = { authorization: `Bearer ${server.gp}` };
  const env = { requestIP: () => ({ address: "192.0.2.1" }) };
  const first = api.request("/v1/updates", { headers, signal: gone.signal }, env);
  await asked.promise;
  gone.abort();
  const second = server.call("GET", "/v1/updates");
  held.resolve();
  const { body } = await second;
  expect(body.updates).toMatchObject([{ state: "outdated", registry_digest: "b".repeat(64), reason: null }]);
  await (await first).text();
  await agent.close();
});
