// src/server/store/shared/lease.ts: one of several holds it, also while the bucket is away or slow.
import { beforeEach, expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { Lease } from "#src/server/store/shared/lease.ts";
import type { Entry, PutOptions } from "#src/transport/nats/calls/bucket.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

let clock: ManualClock;
let bucket: OneKey;
beforeEach(() => {
  clock = new ManualClock();
  bucket = new OneKey();
});

/** A bucket with one key, whose entry expires by the clock of the server. */
class OneKey {
  isAway = false;
  #sequence = 0;
  #entry: (Entry & { readonly untilMs: number }) | null = null;

  async get(): Promise<Entry | null> {
    this.#answer();
    return this.#entry;
  }

  async put(_key: string, text: string, { ttlMs = 0, ifSequence }: PutOptions = {}): Promise<number | null> {
    this.#answer();
    if ((this.#entry?.sequence ?? 0) !== ifSequence) return null;
    const data = new TextEncoder().encode(text);
    this.#sequence += 1;
    this.#entry = { sequence: this.#sequence, atMs: 0, data, untilMs: clock.monotonic() + ttlMs };
    return this.#sequence;
  }

  async remove(_key: string, ifSequence?: number): Promise<boolean> {
    this.#answer();
    if (this.#entry?.sequence !== ifSequence) return false;
    this.#sequence += 1;
    this.#entry = { sequence: this.#sequence, atMs: 0, data: null, untilMs: Number.POSITIVE_INFINITY };
    return true;
  }

  get isFree(): boolean {
    return this.#entry === null || this.#entry.data === null || this.#entry.untilMs <= clock.monotonic();
  }

  #answer(): void {
    if (this.isAway) throw new Error("It is away");
    if (this.#entry !== null && this.#entry.untilMs <= clock.monotonic()) this.#entry = null;
  }
}

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
