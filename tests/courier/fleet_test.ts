// src/courier/fleet: when the state documents are read, and which callers wait.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { Fleet } from "#src/courier/fleet.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { StateRecord } from "#src/transport.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { expectCode } from "#tests/transport/conformance/heard.ts";

/** A fleet whose readings end as the test decides. */
function openFleet() {
  const clock = new ManualClock();
  const site = { reads: 0, reading: Promise.resolve<readonly StateRecord[]>([]) };
  const readStates = async (): Promise<readonly StateRecord[]> => {
    site.reads += 1;
    return await site.reading;
  };
  const transport = Object.assign(new MemoryStore(clock).open(), { readStates });
  return { clock, site, fleet: new Fleet(transport, clock) };
}

test("read() returns a recent result again, and renews it in the background before it is too old", async () => {
  const { clock, site, fleet } = openFleet();
  const hanging = Promise.withResolvers<readonly StateRecord[]>();
  await fleet.read(2000);
  site.reading = hanging.promise;
  await clock.advance(900);
  await fleet.read(2000);
  expect(site.reads).toBe(1);
  await clock.advance(200);
  await fleet.read(2000);
  await fleet.read(2000);
  expect(site.reads).toBe(2);
  await clock.advance(1000);
  let read = false;
  const waiting = fleet.read(2000).then(() => (read = true));
  await settle();
  expect([read, site.reads]).toEqual([false, 2]);
  hanging.resolve([]);
  await waiting;
});

test("read() throws a failed reading only to callers that have to wait for it", async () => {
  const { clock, site, fleet } = openFleet();
  await fleet.read(2000);
  const failure = new CourierError("unavailable", "Away");
  site.reading = Promise.reject(failure);
  site.reading.catch(() => undefined);
  await clock.advance(1500);
  expect(await fleet.read(2000)).toEqual([]);
  await clock.advance(1000);
  await expectCode(fleet.read(2000), "unavailable");
});

test("refresh() does not trust a reading that began before it", async () => {
  const { site, fleet } = openFleet();
  const first = Promise.withResolvers<readonly StateRecord[]>();
  site.reading = first.promise;
  const reading = fleet.read();
  const refreshing = fleet.refresh();
  await settle();
  site.reading = Promise.resolve([]);
  first.resolve([]);
  await Promise.all([reading, refreshing]);
  expect(site.reads).toBe(2);
});
