// src/server/store/shared/: tokens and active models that servers share, while NATS is there, away and replaced.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { asCourierError } from "#src/base/errors.ts";
import { until } from "#tests/support/until.ts";
import { SharedStores } from "./store.ts";

const LIMITS = { expiresAtMs: 4_000_000_000_000, agents: ["gpu-1"], verbs: ["list_models"] } as const;

let stores: SharedStores;
beforeEach(async () => {
  stores = await SharedStores.open();
});
afterEach(async () => await stores.close());

async function twoServers() {
  const [one, other] = [await stores.server(stores.dirs[0]), await stores.server(stores.dirs[1])];
  return [one.store, other.store] as const;
}

async function withNats(use: (nats: NatsConnection) => Promise<unknown>): Promise<void> {
  const nats = await connect({ servers: stores.nats.url });
  await use(nats);
  await nats.close();
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "ok",
    (error: unknown) => asCourierError(error).code,
  );
}

test("a token that one server adds is there when add() resolves, and soon at the other, with its limits and who added it", async () => {
  const [one, other] = await twoServers();
  const creator = { name: "platform", accounts: { limits: "l", audit: "a" }, isHeldToLimits: true };
  const token = await one.tokens.add("some.name", "viewer", LIMITS, creator);
  const entry = one.tokens.find(token);
  expect(entry).toMatchObject({ name: "some.name", role: "viewer", ...LIMITS, accounts: creator.accounts });
  await until(() => other.tokens.find(token) !== undefined);
  expect(other.tokens.find(token)).toEqual(entry);
});

test("add() with the same name at two servers at once gives one token", async () => {
  const [one, other] = await twoServers();
  const added = await Promise.allSettled([one.tokens.add("same", "gp"), other.tokens.add("same", "gp")]);
  const refused = added.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  expect(refused).toMatchObject([{ code: "conflict" }]);
  await until(() => one.tokens.list().length === 1 && other.tokens.list().length === 1);
  expect(one.tokens.list()).toEqual(other.tokens.list());
});

test("a revoked token counts nowhere, also at a server that was stopped meanwhile, and its name is free again", async () => {
  const one = await stores.server(stores.dirs[0]);
  const token = await one.store.tokens.add("platform", "gp");
  const other = await stores.server(stores.dirs[1]);
  expect(other.store.tokens.find(token)?.name).toBe("platform");
  await other.stop();
  await one.store.tokens.revoke("platform");
  expect(one.store.tokens.find(token)).toBeUndefined();
  expect(await codeOf(one.store.tokens.revoke("platform"))).toBe("not_found");
  // As after an hour, when its marker is gone.
  await withNats(async (nats) => {
    const { streams } = await jetstreamManager(nats);
    await streams.purge("KV_gpu_courier_server", { filter: "$KV.gpu_courier_server.token.*" });
  });
  const again = await stores.server(stores.dirs[1]);
  expect(again.store.tokens.find(token)).toBeUndefined();
  const next = await again.store.tokens.add("platform", "viewer");
  await until(() => one.store.tokens.find(next) !== undefined);
});

test("a command beside a running server adds and revokes, and the server sees it", async () => {
  const { store } = await stores.server(stores.dirs[0]);
  const command = await stores.command(stores.dirs[0]);
  const token = await command.store.tokens.add("platform", "gp");
  await command.stop();
  await until(() => store.tokens.find(token) !== undefined);
  const next = await stores.command(stores.dirs[0]);
  await next.store.tokens.revoke("platform");
  await next.stop();
  await until(() => store.tokens.find(token) === undefined);
});

test("an active model that one server sets is read at the other", async () => {
  const [one, other] = await twoServers();
  await one.activeModels.set("text", "phi4:latest");
  expect(one.activeModels.read()).toEqual({ text: "phi4:latest" });
  await until(() => other.activeModels.read().text === "phi4:latest");
});

test("while NATS is away tokens are read and not changed, also after a restart", async () => {
  const one = await stores.server(stores.dirs[0]);
  const token = await one.store.tokens.add("platform", "gp");
  await stores.nats.kill();
  expect(await codeOf(one.store.tokens.add("other", "gp"))).toBe("unavailable");
  expect(await codeOf(one.store.tokens.revoke("platform"))).toBe("unavailable");
  await one.stop();
  const again = await stores.server(stores.dirs[0]);
  expect(again.store.tokens.find(token)?.name).toBe("platform");
  await stores.nats.restart();
  await until(async () => await again.store.tokens.add("other", "gp").then(Boolean, () => false));
  expect(again.store.tokens.list().map(({ name }) => name)).toEqual(["other", "platform"]);
});

test("an invalid record changes nothing", async () => {
  const { store } = await stores.server(stores.dirs[0]);
  await withNats(async (nats) => {
    const forged = { name: "x", role: "root", hash: "00" };
    for (const value of [JSON.stringify(forged), "{", "null"])
      await nats.request("$KV.gpu_courier_server.token.eA", value, { timeout: 5_000 });
    await nats.request("$KV.gpu_courier_server.active_model.audio", '{"model":"x"}', { timeout: 5_000 });
    await nats.request("$KV.gpu_courier_server.later.x", "{}", { timeout: 5_000 });
  });
  await store.activeModels.set("text", "phi4:latest");
  expect([store.tokens.list(), store.activeModels.read()]).toEqual([[], { text: "phi4:latest" }]);
});

test("a bucket that was made again has nothing of the one before", async () => {
  const one = await stores.server(stores.dirs[0]);
  await one.store.tokens.add("platform", "gp");
  await one.stop();
  await withNats(async (nats) => await (await jetstreamManager(nats)).streams.delete("KV_gpu_courier_server"));
  const again = await stores.server(stores.dirs[0]);
  expect(again.store.tokens.list()).toEqual([]);
});
