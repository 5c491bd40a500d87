// src/server/store/shared/: the log of ends that servers share, while NATS is there, away and replaced.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { isoTime } from "#src/base/clock.ts";
import { type Job, newPull } from "#src/protocol.ts";
import type { EndLog } from "#src/server/store/ended_jobs.ts";
import { until } from "#tests/support/until.ts";
import { SharedStores } from "./store.ts";

let stores: SharedStores;
beforeEach(async () => {
  stores = await SharedStores.open();
});
afterEach(async () => await stores.close());

async function openOn(dir: string) {
  const { store, stop } = await stores.server(dir);
  return { ends: store.ends, refused: store.refusedJobs, stop };
}

function end(id: string, agent = "gpu-1"): Job {
  const at = isoTime(Date.now());
  return { ...newPull(id, agent, "phi4:latest"), state: "succeeded", ended_at: at };
}

function idsIn(ends: EndLog): (string | null)[] {
  return ends.after(0, 1_000).map(({ number, job }) => `${number} ${job.agent} ${job.id}`);
}

test("add() by two servers gives each end one number, the same on both", async () => {
  const [one, other] = [await openOn(stores.dirs[0]), await openOn(stores.dirs[1])];
  expect(one.ends.id).toBe(other.ends.id);
  for (const each of [one, other]) expect(each.ends.add([end("a"), end("b")])).toBe(true);
  other.ends.add([end("a", "gpu-2")]);
  const wanted = ["1 gpu-1 a", "2 gpu-1 b", "3 gpu-2 a"];
  for (const each of [one, other]) await until(() => each.ends.last === 3);
  await one.ends.settled();
  expect([idsIn(one.ends), idsIn(other.ends)]).toEqual([wanted, wanted]);
  expect(one.ends.add([end("a")])).toBe(false);
});

test("listen() calls when an end has come from NATS, and find() has it no sooner", async () => {
  const { ends } = await openOn(stores.dirs[0]);
  const heard: number[] = [];
  ends.listen(() => heard.push(ends.last));
  ends.add([end("a")]);
  expect([ends.find("a"), ends.last]).toEqual([undefined, 0]);
  await ends.settled();
  expect([ends.find("a")?.number, heard]).toEqual([1, [1]]);
});

test("ends of a time without NATS get their numbers once it is back, in order, also after a restart of the server", async () => {
  const one = await openOn(stores.dirs[0]);
  const other = await openOn(stores.dirs[1]);
  one.ends.add([end("a")]);
  await until(() => other.ends.last === 1);
  await stores.nats.kill();
  for (const id of ["b", "c"]) one.ends.add([end(id)]);
  expect(one.ends.add([end("b")])).toBe(false);
  expect(idsIn(one.ends)).toEqual(["1 gpu-1 a"]);
  await one.stop();
  const again = await openOn(stores.dirs[0]);
  expect(idsIn(again.ends)).toEqual(["1 gpu-1 a"]);
  again.ends.add([end("d")]);
  other.ends.add([end("c")]);
  await stores.nats.restart();
  for (const { ends } of [again, other]) await until(() => ends.last === 4);
  await again.ends.settled();
  const order = again.ends.after(0, 9).map(({ job }) => job.id);
  expect(new Set(order)).toEqual(new Set(["a", "b", "c", "d"]));
  expect(order.indexOf("b")).toBeLessThan(order.indexOf("d"));
  expect(idsIn(again.ends)).toEqual(idsIn(other.ends));
});

test("open() fails at the first start while NATS is away", async () => {
  await stores.nats.kill();
  const failure = await openOn(stores.dirs[0]).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "unavailable" });
});

test("reaches() accepts the numbers of a server that is ahead, and refuses those of nobody", async () => {
  const { ends } = await openOn(stores.dirs[0]);
  ends.add([end("a")]);
  await ends.settled();
  expect([0, 1, 2, 5_000, 1_000_000].map((number) => ends.reaches(number))).toEqual([true, true, true, true, false]);
});

test("a server that starts after the stream was made again takes the new log, and drops the ends of the old one", async () => {
  const one = await openOn(stores.dirs[0]);
  const { id } = one.ends;
  one.ends.add([end("a")]);
  await one.ends.settled();
  await one.stop();
  const connection = await connect({ servers: stores.nats.url });
  await (await jetstreamManager(connection)).streams.delete("gpu_courier_ends");
  await connection.close();
  const again = await openOn(stores.dirs[0]);
  expect([again.ends.id === id, again.ends.last, idsIn(again.ends)]).toEqual([false, 0, []]);
});

test("a job that one server refused is known to all, and one that ended is not taken for refused", async () => {
  const [one, other] = [await openOn(stores.dirs[0]), await openOn(stores.dirs[1])];
  const refused = { ...end("refused"), state: "failed" } as const;
  one.refused.add([refused]);
  one.ends.add([refused, end("a")]);
  await until(() => other.ends.last === 2);
  const all = (): boolean => true;
  expect(other.refused.list(all).map(({ id }) => id)).toEqual(["refused"]);
  expect(one.refused.list(all).map(({ id }) => id)).toEqual(["refused"]);
});
