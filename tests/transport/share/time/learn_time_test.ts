// src/transport/share/time/learn_time.ts: the share's clock for users who may only read there.
import { afterEach, expect, test } from "bun:test";
import { constants } from "node:fs";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Transport } from "#src/transport.ts";
import { OffsetClock } from "#tests/support/clocks/offset_clock.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";

const HOUR_MS = 3_600_000;

const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).toReversed()) await each();
});

/** A share on which `publish` publishes a state, and a handle on it that may make no file, by a clock that is off. */
async function openSite(offMs: number) {
  const folder = new ShareFolder();
  undo.push(async () => await folder.remove());
  const agent = folder.handle();
  await agent.connect();
  undo.push(async () => await agent.close());
  const open: Primitives["open"] = (path, flags, mode) => {
    if ((flags & constants.O_CREAT) === 0) return localPrimitives.open(path, flags, mode);
    throw Object.assign(new Error("EROFS: planted"), { code: "EROFS" });
  };
  const calls = { local: { ...localPrimitives, open }, network: { ...poolPrimitives, open } };
  const options = { create: "never", watch: "auto", clock: new OffsetClock(offMs), log: silentLog } as const;
  const reader: Transport = new ShareTransport(folder.root, options, calls);
  undo.push(async () => await reader.close());
  return {
    reader,
    publish: async (sequence: number) => await agent.publishState("gpu-1", JSON.stringify({ sequence })),
  };
}

test.each([-HOUR_MS, HOUR_MS])(
  "a clock off by %d ms is corrected by an agent whose document changes",
  async (offMs) => {
    const { reader, publish } = await openSite(offMs);
    await publish(0);
    const stop = new AbortController();
    const publishing = (async () => {
      for (let sequence = 1; !stop.signal.aborted; sequence++) {
        await publish(sequence);
        await systemClock.sleep(100, stop.signal);
      }
    })();
    await reader.connect();
    expect(Math.abs(reader.now() - Date.now())).toBeLessThan(2_000);
    expect(reader.description).not.toContain("read-only");
    stop.abort();
    await publishing;
  },
);

test("a clock that agrees with the newest document is accepted at once, and so is any clock without documents", async () => {
  const { reader, publish } = await openSite(0);
  await publish(0);
  const begunMs = performance.now();
  await reader.connect();
  const { reader: alone } = await openSite(HOUR_MS);
  await alone.connect();
  expect(performance.now() - begunMs).toBeLessThan(3_000);
  expect(Math.abs(alone.now() - Date.now() - HOUR_MS)).toBeLessThan(2_000);
  for (const each of [reader, alone]) expect(each.description).toEndWith("(read-only: by this machine's clock)");
});
