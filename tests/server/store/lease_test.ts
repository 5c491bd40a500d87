// src/server/store/shared/lease.ts: one of several holds it, also while the bucket is away or slow.
import { beforeEach, expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { Lease } from "#src/server/store/shared/lease.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { OneKey } from "./one_key.ts";

let clock: ManualClock;
let bucket: OneKey;
beforeEach(() => {
  clock = new ManualClock();
  bucket = new OneKey(clock);
});

/** A server that works while it holds the lease. */
function server() {
  const lease = new Lease({ bucket, key: "lease.test", clock, log: silentLog });
  const stop = new AbortController();
  const works = { now: false };
  const running = lease.run(stop.signal, async (held) => {
    works.now = true;
    await clock.sleep(Number.MAX_SAFE_INTEGER, held);
    works.now = false;
  });
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  return { lease, works, end };
}

test("one of two works, and the other one as soon as the first has stopped", async () => {
  const [one, other] = [server(), server()];
  await clock.advance(30_000);
  expect(one.works.now).not.toBe(other.works.now);
  const [first, second] = one.works.now ? [one, other] : [other, one];
  await first.end();
  await clock.advance(2_000);
  expect([first.works.now, second.works.now]).toEqual([false, true]);
  await second.end();
});

test("while the bucket is away the work ends before anybody else could hold the lease", async () => {
  const one = server();
  await clock.advance(10_000);
  bucket.isAway = true;
  for (let step = 0; step < 100; step++) {
    await clock.advance(100);
    if (one.works.now) expect(bucket.isFree).toBe(false);
  }
  expect([one.works.now, one.lease.isHeld, bucket.isFree]).toEqual([false, false, true]);
  bucket.isAway = false;
  await clock.advance(2_000);
  expect(one.works.now).toBe(true);
  await one.end();
});

test("a holder that was replaced stops", async () => {
  const one = server();
  await clock.advance(5_000);
  await bucket.put("", "somebody", { ttlMs: 60_000, ifSequence: (await bucket.get())?.sequence ?? 0 });
  await clock.advance(2_000);
  expect([one.works.now, one.lease.isHeld]).toEqual([false, false]);
  await clock.advance(50_000);
  expect(one.works.now).toBe(false);
  await one.end();
});
