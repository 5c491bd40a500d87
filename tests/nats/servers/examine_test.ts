// src/server/store/shared/examine.ts: what the doctor finds of the store that servers share.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { Check } from "#src/base/check.ts";
import type { SharedStore } from "#src/server/store/shared/shared_store.ts";
import { SharedStores } from "./store.ts";

let stores: SharedStores;
let store: SharedStore;
beforeEach(async () => {
  stores = await SharedStores.open();
  ({ store } = await stores.server(stores.dirs[0]));
});
afterEach(async () => await stores.close());

async function examined(): Promise<readonly Pick<Check, "check" | "subject" | "result" | "message">[]> {
  return await Array.fromAsync(store.examine());
}

async function changeStream(name: string, change: object): Promise<void> {
  const nats = await connect({ servers: stores.nats.url });
  await (await jetstreamManager(nats)).streams.update(name, change);
  await nats.close();
}

const READY = { check: "store", result: "ok", message: "Is there and can be written, on 1 server(s)" };

test("examine() finds each place of the store there, and adds nothing to the log of ends", async () => {
  expect(await examined()).toMatchObject([
    { ...READY, subject: "server" },
    { ...READY, subject: "gpu_courier_ends" },
    { ...READY, subject: "gpu_courier_audit" },
    { ...READY, subject: "gpu_courier_webhooks" },
  ]);
  expect([store.ends.last, store.tokens.list()]).toEqual([0, []]);
});

test("examine() names the settings that somebody has changed", async () => {
  await changeStream("gpu_courier_ends", { max_msgs: 5 });
  await changeStream("KV_gpu_courier_server", { max_msg_size: 1_000 });
  expect(await examined()).toMatchObject([
    { result: "failed", message: "Has other settings than this release makes: max_msg_size" },
    { result: "failed", message: "Has other settings than this release makes: max_msgs" },
    { result: "ok" },
    { result: "ok" },
  ]);
});

test("examine() fails where the store is gone, takes no writes, or cannot be reached", async () => {
  const nats = await connect({ servers: stores.nats.url });
  await (await jetstreamManager(nats)).streams.delete("gpu_courier_ends");
  await nats.close();
  await changeStream("KV_gpu_courier_server", { sealed: true, deny_delete: true, deny_purge: true });
  expect((await examined()).map(({ result }) => result)).toEqual(["failed", "failed", "ok", "ok"]);
  await stores.nats.kill();
  for (const { result, message } of await examined())
    expect([result, message]).toEqual(["failed", expect.stringContaining("Lost the connection")]);
});
