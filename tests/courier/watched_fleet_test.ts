// src/courier/index/watched_fleet: what callers get before, during and after the first look at all documents.
import { expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { WatchedFleet } from "#src/courier/index/watched_fleet.ts";
import { State } from "#src/protocol.ts";
import { readFleet } from "#src/server/fleet/known_fleet.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { StateWatcher, Transport } from "#src/transport.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { sampleText } from "#tests/support/wire_samples.ts";
import { expectCode } from "#tests/transport/conformance/heard.ts";

const STATE = State.parse(JSON.parse(sampleText("v2/state.json")));

/** A fleet on a transport whose looks end when the test decides. */
async function openFleet() {
  const clock = new ManualClock();
  const watchers: StateWatcher[] = [];
  const watchStates = async (watcher: StateWatcher) => {
    watchers.push(watcher);
    return { close: async () => undefined };
  };
  const transport: Transport = Object.assign(new MemoryStore(clock).open(), { watchStates });
  await transport.connect();
  const fleet = new WatchedFleet({ transport, clock, log: silentLog });
  await fleet.open();
  const [watcher] = watchers;
  const publish = (agent: string): void =>
    watcher?.changed({ agent, content: { text: JSON.stringify({ ...STATE, agent }) }, publishedAtMs: clock.now() });
  return { clock, fleet, publish, watcher: watcher ?? expect.unreachable() };
}

test("waits for the first look, and is then answered at once", async () => {
  const { clock, fleet, publish, watcher } = await openFleet();
  publish("gpu-1");
  let isRead = false;
  const reading = fleet.read().then((views) => {
    isRead = true;
    return views;
  });
  await settle();
  expect(isRead).toBe(false);
  publish("gpu-2");
  watcher.synced(clock.monotonic());
  expect((await reading).map(({ agent }) => agent)).toEqual(["gpu-1", "gpu-2"]);
});

test("never takes a part of the fleet for the whole one while the first look goes on or fails", async () => {
  const { clock, fleet, publish, watcher } = await openFleet();
  publish("gpu-1");
  const open = { requireOpen: () => undefined };
  const late = expectCode(readFleet({ fleet, connection: open }), "unavailable");
  await clock.advance(20_000);
  await late;
  watcher.interrupted(new Error("stalled"));
  await expectCode(readFleet({ fleet, connection: open }), "internal");
  watcher.synced(clock.monotonic());
  expect((await readFleet({ fleet, connection: open })).views.length).toBe(1);
});
