// The metrics of the mirror that gpu-server runs.
import { expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";
import { scrape, startingWith } from "./series.ts";

const NAME = "gpu_courier_mirror_";

test("/metrics shows the fetches of the mirror, their ends, and how large it is", async () => {
  using site = new MirrorShare();
  site.mirrored("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
  const registry = await Registry.start();
  await using server = await openServer({ mirrorShare: site.share, insecureRegistries: [registry.host] });
  const model = registry.offer("m", { layers: [1000] });
  for (const each of [model, `${registry.host}/library/none:latest`])
    await server.call("POST", "/v1/mirror/fetches", { body: { model: each } });
  await server.call("GET", "/v1/mirror");
  expect(startingWith(await scrape(server), NAME)).toEqual({
    'fetches{state="queued"}': 2,
    'fetches{state="running"}': 0,
    'fetches_ended_total{result="succeeded"}': 0,
    'fetches_ended_total{result="failed"}': 0,
    'fetches_ended_total{result="cancelled"}': 0,
    models: 1,
    bytes: 13,
  });
  const stop = new AbortController();
  const running = server.services.mirror?.fetches.run(stop.signal);
  await until(async () => {
    const { body } = await server.call("GET", "/v1/mirror/fetches");
    return body.fetches.every(({ finished_at }: { finished_at: string | null }) => finished_at !== null);
  });
  // A caller that sees only some agents is shown nothing of the server itself.
  const scoped = server.tokens.add("scoped", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
  expect(startingWith(await scrape(server, { token: scoped }), NAME)).toEqual({});
  const { ended } = server.services.mirror?.fetches ?? {};
  expect(ended).toEqual({ succeeded: 1, failed: 1, cancelled: 0 });
  stop.abort();
  await running;
  await registry.stop();
});

test("/metrics has nothing of a mirror where gpu-server runs none", async () => {
  await using server = await openServer();
  expect(startingWith(await scrape(server), NAME)).toEqual({});
});
