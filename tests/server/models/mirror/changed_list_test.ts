// GET /v1/mirror right after this server itself has changed the mirror: a page or a script that asks then must see that.
import { expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

test("GET /v1/mirror shows what was fetched and removed at once", async () => {
  using site = new MirrorShare();
  const registry = await Registry.start();
  await using server = await openServer({ mirrorShare: site.share, insecureRegistries: [registry.host] });
  const stop = new AbortController();
  const running = server.services.mirror?.fetches.run(stop.signal);
  const listed = async (): Promise<string[]> => {
    const { body } = await server.call("GET", "/v1/mirror");
    return body.models.map(({ name }: { name: string }) => name);
  };
  expect(await listed()).toEqual([]);
  const model = registry.offer("m", { layers: [1000] });
  const { id } = (await server.call("POST", "/v1/mirror/fetches", { body: { model } })).body;
  await until(async () => (await server.call("GET", `/v1/mirror/fetches/${id}`)).body.state === "succeeded");
  expect(await listed()).toEqual([model]);
  expect((await server.call("DELETE", `/v1/mirror/models/${encodeURIComponent(model)}`)).status).toBe(200);
  expect(await listed()).toEqual([]);
  stop.abort();
  await running;
  await registry.stop();
});
