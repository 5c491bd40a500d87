// src/transport/mirror/rated_source: blobs come no faster than a rate.
import { expect, test } from "bun:test";
import type { Clock } from "#src/base/clock.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { ratedSource } from "#src/transport/mirror/rated_source.ts";

const MB = 1_000_000;
const NAME = parseModelName("phi4");
const LAYER = { digest: `sha256:${"a".repeat(64)}`, bytes: 3 * MB };

/** Time that passes only while somebody sleeps, or as `pass()` has it. */
function slowTime() {
  let [nowMs, sleptMs] = [0, 0];
  const sleep: Clock["sleep"] = async (ms) => {
    nowMs += ms;
    sleptMs += ms;
    await Promise.resolve();
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { clock: { now: () => nowMs, monotonic: () => nowMs, sleep }, pass, sleptMs: () => sleptMs };
}

async function* chunks(between: () => void): AsyncGenerator<Uint8Array> {
  for (let count = 0; count < 3; count++) {
    yield await Promise.resolve(new Uint8Array(MB));
    between();
  }
}

async function read(between: () => void, time: ReturnType<typeof slowTime>, signal: AbortSignal): Promise<number> {
  const plain = { readManifest: async () => await Promise.resolve("{}"), readBlob: () => chunks(between) };
  const source = ratedSource(plain, MB, time.clock);
  let bytes = 0;
  for await (const chunk of source.readBlob(NAME, LAYER, 0, signal)) bytes += chunk.byteLength;
  return bytes;
}

test("what comes too early waits; a timer that fires late is made up for", async () => {
  const time = slowTime();
  expect(await read(() => undefined, time, new AbortController().signal)).toBe(3 * MB);
  expect(time.sleptMs()).toBe(2750);
});

test("of a pause, such as an outage of the registry, no more than that is made up for", async () => {
  const time = slowTime();
  expect(await read(() => time.pass(600_000), time, new AbortController().signal)).toBe(3 * MB);
  expect(time.sleptMs()).toBe(3 * 750);
});

test("two fetches have one rate", async () => {
  const time = slowTime();
  const plain = { readManifest: async () => await Promise.resolve("{}"), readBlob: () => chunks(() => undefined) };
  const source = ratedSource(plain, MB, time.clock);
  const { signal } = new AbortController();
  const readings = [0, 1].map(async () => await Array.fromAsync(source.readBlob(NAME, LAYER, 0, signal)));
  await Promise.all(readings);
  expect(time.clock.monotonic()).toBeGreaterThanOrEqual(5750);
});

test("a signal ends it, and without a rate the source is left as it is", async () => {
  const time = slowTime();
  const stop = new AbortController();
  expect(await read(() => stop.abort(), time, stop.signal)).toBe(MB);
  const plain = { readManifest: async () => await Promise.resolve("{}"), readBlob: () => chunks(() => undefined) };
  expect(ratedSource(plain, null, time.clock)).toBe(plain);
});
