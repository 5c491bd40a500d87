// What a watcher of the states learns from NATS in addition to the documents.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { KEYS } from "#src/transport/nats/layout.ts";
import type { StateRecord } from "#src/transport.ts";
import { AGENT, NatsBed } from "#tests/support/nats/nats_bed.ts";
import { SkippingClock } from "#tests/support/nats/skipping_clock.ts";
import { until } from "#tests/support/until.ts";

let bed: NatsBed;
beforeEach(async () => {
  bed = await NatsBed.start();
});
afterEach(async () => await bed.close());

/** Resolves once everything that is there has been delivered. */
async function watch() {
  const records: StateRecord[] = [];
  const alive: (readonly [agent: string, sequence: number])[] = [];
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  const transport = await bed.open();
  await transport.watchStates({
    changed: (record) => void records.push(record),
    alive: (agent, sequence) => void alive.push([agent, sequence]),
    removed: () => undefined,
    away: () => undefined,
    synced: () => resolve(),
    interrupted: () => undefined,
    restored: () => undefined,
  });
  await synced;
  return { records, alive };
}

test("the first documents come with when their agents were last there, so that none looks silent at first", async () => {
  await bed.agent();
  await bed.open();
  await bed.write("states", KEYS.state(AGENT), "{}");
  // The times of entries are in milliseconds.
  await Bun.sleep(2);
  await bed.write("presence", KEYS.agent(AGENT), "");
  const { records } = await watch();
  const [first] = records;
  expect([records.length, first?.agent, first?.content]).toEqual([1, AGENT, { text: "{}" }]);
  expect(first?.aliveAtMs).toBeGreaterThan(first?.publishedAtMs ?? Number.NaN);
});

test("only numbers under the name of an agent with a document are heartbeats", async () => {
  await bed.agent();
  await bed.write("states", KEYS.state(AGENT), "{}");
  const { alive } = await watch();
  const [raw, { layout }] = [await bed.raw(), bed];
  for (const text of ["", "-1", "1.5", "x", "1234567890123456"]) raw.publish(layout.heartbeat(AGENT), text);
  for (const name of ["gpu-2", "GPU-1", "gpu-1x"]) raw.publish(layout.heartbeat(name), "1");
  raw.publish(layout.heartbeat(AGENT), "123456789012345");
  await until(() => alive.length > 0);
  expect(alive).toEqual([[AGENT, 123_456_789_012_345]]);
});

test("a document shows that its agent is there; without another one a heartbeat does, 10 s later", async () => {
  const clock = new SkippingClock();
  const [agent, reader] = [await bed.agent({ clock }), await bed.open()];
  const isShown = async (): Promise<boolean> => (await bed.stored("presence", KEYS.agent(AGENT))) !== null;
  await agent.publishState(AGENT, "{}");
  clock.skip(9_000);
  await agent.renewState(AGENT, 1, "{}");
  expect(await isShown()).toBe(false);
  clock.skip(1_000);
  await agent.renewState(AGENT, 1, "{}");
  expect(await isShown()).toBe(true);
  const record = await reader.readState(AGENT);
  expect(record?.aliveAtMs).toBeGreaterThanOrEqual(record?.publishedAtMs ?? Number.NaN);
});

test("a reading leaves nothing at the server, which has room for a limited number of them", async () => {
  await bed.agent();
  await bed.write("states", KEYS.state(AGENT), "{}");
  const transport = await bed.open();
  for (let reading = 0; reading < 10; reading++) expect(await transport.readStates()).toHaveLength(1);
  const raw = await bed.raw();
  for (const bucket of ["states", "presence"] as const) {
    const answer = await raw.request(`$JS.API.STREAM.INFO.${bed.layout.stream(bucket)}`, "", { timeout: 5_000 });
    expect(answer.json<{ state: { consumer_count: number } }>().state.consumer_count).toBe(0);
  }
});
