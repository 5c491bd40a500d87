// When the agent sweeps, what it logs, and that it does not trust a clock that was just set.
import { expect, test } from "bun:test";
import { Sweeping } from "#src/agent/sweeping.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Removed, SweepScope, Swept, Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";

const MINUTE_MS = 60_000;
const NOTHING: Removed = { commands: 0, responses: 0, claims: 0, addresses: 0, unfinished: 0 };
const DONE: Swept = { removed: NOTHING, more: false };

/** A loop over a transport whose sweep and clock the test scripts. */
function begin(sweep: (scope: SweepScope) => Swept) {
  const clock = new ManualClock();
  const logged: unknown[] = [];
  const site = { scopes: [] as SweepScope[], sweepScope: "everything" as SweepScope | null, aheadMs: 0, logged, clock };
  const transport: Transport = Object.assign(new MemoryStore(clock).open(), {
    now: () => clock.now() + site.aheadMs,
    sweep: async (scope: SweepScope) => {
      site.scopes.push(scope);
      return sweep(scope);
    },
  });
  const note =
    (level: string) =>
    (fields: object, message: string): void =>
      void logged.push([level, fields, message]);
  const log = { ...silentLog, info: note("info"), warn: note("warn") };
  const stop = new AbortController();
  const ended = new Sweeping({ transport, condition: site, clock, log }).run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await clock.advance(0);
    await ended;
  };
  return { ...site, site, end };
}

test("run() begins soon after the start, sweeps to the end, and begins again after 10 min", async () => {
  let rounds = 0;
  const { site, clock, scopes, logged, end } = begin(() => {
    rounds += 1;
    return { removed: { ...NOTHING, responses: 2, claims: rounds === 3 ? 1 : 0 }, more: rounds < 3 };
  });
  await clock.advance(9_000);
  expect(scopes).toEqual([]);
  await clock.advance(2_000);
  expect(scopes).toHaveLength(3);
  expect(logged).toEqual([["info", { responses: 6, claims: 1, ms: 0 }, "Swept"]]);
  site.sweepScope = { agent: "gpu-1" };
  await clock.advance(11 * MINUTE_MS);
  expect(scopes).toEqual(["everything", "everything", "everything", { agent: "gpu-1" }]);
  await end();
});

test("run() logs nothing when nothing was removed, and does nothing while nothing may be swept", async () => {
  const { site, clock, scopes, logged, end } = begin(() => DONE);
  site.sweepScope = null;
  await clock.advance(11 * MINUTE_MS);
  expect(scopes).toEqual([]);
  site.sweepScope = "everything";
  await clock.advance(11 * MINUTE_MS);
  expect([scopes.length, logged]).toEqual([1, []]);
  await end();
});

test("run() waits for the next time when the transport's clock was set", async () => {
  const { site, clock, scopes, end } = begin(() => DONE);
  await clock.advance(11_000);
  for (const aheadMs of [7_200_000, -7_200_000]) {
    site.aheadMs = aheadMs;
    scopes.length = 0;
    await clock.advance(10 * MINUTE_MS);
    expect(scopes).toHaveLength(0);
    await clock.advance(10 * MINUTE_MS);
    expect(scopes).toHaveLength(1);
  }
  await end();
});

test("run() logs a denial once and sweeps the rest; it tries again later when the transport is unavailable", async () => {
  let rounds = 0;
  const { clock, scopes, logged, end } = begin(() => {
    rounds += 1;
    if (rounds % 2 === 1) throw new CourierError("forbidden", "Cannot sweep there", { hint: "Let me in" });
    if (rounds > 4) throw new CourierError("unavailable", "Away");
    return DONE;
  });
  await clock.advance(11_000);
  await clock.advance(10 * MINUTE_MS);
  expect(scopes).toHaveLength(4);
  expect(logged).toEqual([["warn", { reason: "Cannot sweep there", hint: "Let me in" }, "Cannot sweep"]]);
  await clock.advance(10 * MINUTE_MS);
  expect(scopes).toHaveLength(6);
  expect(logged).toHaveLength(1);
  await end();
});

test("an agent sweeps everything while it serves the shared inbox, otherwise only its own inbox", async () => {
  const site = new MemorySite();
  try {
    await site.platform.connect();
    await site.platform.openInbox({ agent: "gpu-gone" });
    await site.start("gpu-1", { sharedInbox: "off" });
    await site.send({ agent: "gpu-gone" }, "ping-1", { version: 2, command: "ping", ttl_ms: 1000 });
    await site.platform.respond("shared", "list-1", "{}", { durable: false });
    await site.clock.advance(90 * MINUTE_MS);
    expect(site.lying({ agent: "gpu-gone" })).toEqual(["ping-1"]);
    await site.start("gpu-2");
    await site.clock.advance(MINUTE_MS);
    expect(site.lying({ agent: "gpu-gone" })).toEqual([]);
    expect(await site.platform.respondedAtMs("shared", "list-1")).toBeNull();
  } finally {
    await site.close();
  }
});
