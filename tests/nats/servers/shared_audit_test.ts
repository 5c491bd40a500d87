// src/server/store/shared/logs/shared_audit.ts: the audit that servers share, while NATS is there, away and replaced.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { systemClock } from "#src/base/clock.ts";
import { AuditLog } from "#src/server/audit/audit_log.ts";
import { recordLocalChange } from "#src/server/audit/local_change.ts";
import { newEntry } from "#src/server/audit/new_entry.ts";
import { openStore } from "#src/server/store/store.ts";
import { until } from "#tests/support/until.ts";
import { SharedStores } from "./store.ts";

const SENDER = { request: "POST /v1/jobs", request_id: "0123", who: "platform", way: "token", peer: "192.0.2.1" };

let stores: SharedStores;
const closes: (() => void)[] = [];
beforeEach(async () => {
  stores = await SharedStores.open();
});
afterEach(async () => {
  for (const close of closes.splice(0)) close();
  await stores.close();
});

/** The audit of a server that runs. */
async function server(dir: string) {
  const { stop } = await stores.server(dir);
  const database = openStore(dir);
  closes.push(() => database.close());
  return { dir, audit: new AuditLog(database, systemClock), stop };
}

type Server = Awaited<ReturnType<typeof server>>;

async function twoServers() {
  return [await server(stores.dirs[0]), await server(stores.dirs[1])] as const;
}

function add({ audit }: Server, model: string, outcome: string | null = "ok"): number {
  const what = { verb: "pull_model", agent: "gpu-1", model, details: null, key: null };
  return audit.add(newEntry({ ...SENDER, ...what, outcome, job: null }));
}

function models({ audit }: Server): (string | null)[] {
  return audit.read({}, { limit: 1_000 }).map(({ model }) => model);
}

function whole({ audit }: Server) {
  return audit.read({}, { limit: 1_000 });
}

test("every server has the entries of all, once, under the same numbers, with their outcomes", async () => {
  const [one, other] = await twoServers();
  const begun = add(one, "begun", null);
  for (let index = 0; index < 30; index++) add(index % 2 === 0 ? one : other, `m${index}`);
  one.audit.end(begun, "not_found", null);
  for (const each of [one, other]) await until(() => models(each).length === 31);
  await until(() => Bun.deepEquals(whole(one), whole(other)));
  const entries = whole(other);
  expect(entries.map(({ number }) => number)).toEqual(Array.from({ length: 31 }, (_, index) => 31 - index));
  expect(entries.find(({ model }) => model === "begun")).toMatchObject({ ...SENDER, outcome: "not_found" });
  const [page] = one.audit.read({}, { limit: 10 }).slice(-1);
  expect(other.audit.read({}, { limit: 1, before: page?.number ?? 0 })).toEqual(entries.slice(10, 11));
});

test("an entry of a time without NATS is there at once, stays over a restart, and comes to all once", async () => {
  const [one, other] = await twoServers();
  add(one, "before");
  await until(() => models(other).length === 1);
  await stores.nats.kill();
  for (const model of ["a", "b"]) add(one, model);
  expect(models(one)).toEqual(["b", "a", "before"]);
  await one.stop();
  const again = await server(stores.dirs[0]);
  add(again, "c");
  expect(models(again)).toEqual(["c", "b", "a", "before"]);
  await stores.nats.restart();
  for (const each of [again, other])
    await until(() => Bun.deepEquals(models(each), ["c", "b", "a", "before"]) && whole(each)[0]?.number === 4);
  expect(whole(again)).toEqual(whole(other));
});

test("an entry whose acknowledgment was lost is there once", async () => {
  const [one, other] = await twoServers();
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 20; index++) add(one, `m${round}-${index}`);
    await stores.nats.kill();
    await stores.nats.restart();
  }
  await until(() => models(other).length === 60);
  await until(() => Bun.deepEquals(whole(one), whole(other)));
  expect(new Set(models(other)).size).toBe(60);
});

test("what a command changes beside a server comes to the other one", async () => {
  const [one, other] = await twoServers();
  recordLocalChange(one.dir, { command: "gpu-server token add", who: "root", details: { name: "x" } });
  await until(() => whole(other).length === 1);
  expect(whole(other)).toMatchObject([{ number: 1, request: "gpu-server token add", who: "root", way: "local" }]);
});

test("when somebody removed the stream, the copies bring all entries back, each once", async () => {
  const [one, other] = await twoServers();
  for (const model of ["a", "b"]) add(one, model);
  add(other, "c");
  for (const each of [one, other]) await until(() => whole(each).length === 3 && whole(each)[0]?.number === 3);
  for (const { stop } of [one, other]) await stop();
  const nats = await connect({ servers: stores.nats.url });
  await (await jetstreamManager(nats)).streams.delete("gpu_courier_audit");
  await nats.close();
  const again = await twoServers();
  for (const each of again) await until(() => whole(each).length === 3 && whole(each)[0]?.number === 3);
  expect(new Set(models(again[0]))).toEqual(new Set(["a", "b", "c"]));
  expect(whole(again[0])).toEqual(whole(again[1]));
});

test("invalid entries on NATS are skipped", async () => {
  const [one, other] = await twoServers();
  const nats = await connect({ servers: stores.nats.url });
  for (const text of ["{", "{}", '{"at_ms":-1}']) await nats.request("gpu_courier.audit.x", text, { timeout: 5_000 });
  await nats.close();
  add(one, "a");
  await until(() => models(other).length === 1);
  expect(whole(other)[0]?.number).toBe(4);
});
