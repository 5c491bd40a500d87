// Following the states on NATS while the connection is lost in the middle of the first reading.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { KEYS } from "#src/transport/nats/layout.ts";
import type { StateWatcher } from "#src/transport.ts";
import { AGENT, NatsBed, textOf } from "#tests/support/nats/nats_bed.ts";
import { until } from "#tests/support/until.ts";

const AGENTS = 3_000;

let bed: NatsBed;
beforeEach(async () => {
  bed = await NatsBed.start();
});
afterEach(async () => await bed.close());

test(`watchStates() delivers ${AGENTS} documents, and goes on, when the connection is lost while it reads them first`, async () => {
  const line = await bed.line();
  const watching = await bed.open({ url: line.url });
  const names = Array.from({ length: AGENTS }, (_, number) => `box-${number}`);
  await Promise.all(names.map(async (name) => await bed.write("states", KEYS.state(name), "x".repeat(2_000))));
  const seen = new Map<string, string>();
  const heard = { interrupted: 0, restored: 0, synced: 0, removed: 0 };
  const watcher: StateWatcher = {
    changed: (record) => {
      seen.set(record.agent, textOf(record));
      if (seen.size !== 10) return;
      line.cut();
      line.sever();
    },
    alive: () => undefined,
    away: () => undefined,
    removed: () => void heard.removed++,
    synced: () => void heard.synced++,
    interrupted: () => void heard.interrupted++,
    restored: () => void heard.restored++,
  };
  await watching.watchStates(watcher);
  await until(() => heard.interrupted === 1);
  line.restore();
  await until(() => seen.size === AGENTS && heard.restored === 1);
  const agent = await bed.agent();
  await agent.publishState(AGENT, "{}");
  await until(() => seen.get(AGENT) === "{}");
  expect(heard).toEqual({ ...heard, interrupted: 1, restored: 1, removed: 0 });
}, 60_000);
