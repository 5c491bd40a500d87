// What a connection to NATS keeps of its calls: nothing.

import { heapStats } from "bun:jsc";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { NatsBed } from "#tests/support/nats/nats_bed.ts";

const CALLS = 20_000;
const MOST_BYTES_OF_CALL = 100;

let bed: NatsBed;
beforeEach(async () => {
  bed = await NatsBed.start();
});
afterEach(async () => await bed.close());

function heapBytes(): number {
  Bun.gc(true);
  return heapStats().heapSize;
}

test(`${CALLS} reads leave nothing of them behind`, async () => {
  const handle = await bed.open();
  await handle.publishRoster("x".repeat(1_000));
  const readMany = async (): Promise<void> => {
    for (let call = 0; call < CALLS; call += 100)
      await Promise.all(Array.from({ length: 100 }, async () => await handle.readRoster()));
  };
  await readMany();
  const before = heapBytes();
  await readMany();
  expect((heapBytes() - before) / CALLS).toBeLessThan(MOST_BYTES_OF_CALL);
}, 60_000);
