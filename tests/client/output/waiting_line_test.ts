// The line that shows whom gpuctl waits for.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

const ERASE = "\r\u001b[K";

async function seconds(count: number): Promise<void> {
  for (let second = 0; second < count; second++) {
    await site.clock.advance(1000);
    await settle();
  }
}

test("it appears after a second of waiting, counts, and is gone when the answer is there", async () => {
  const { promise, resolve } = Promise.withResolvers<object>();
  await site.agent("gpu-1", { models: [modelOf("phi4:latest")], answer: async () => await promise });
  const run = site.start(["rm", "phi4"], { terminal: true });
  await settle();
  await site.clock.advance(900);
  expect(run.stderr.text).toBe("");
  await seconds(2);
  const line = (age: number): string => `${ERASE}Waiting for gpu-1 … (last seen ${age} s ago, Ctrl-C to stop)`;
  expect(run.stderr.text).toBe(`${line(1)}${line(2)}`);
  resolve({ message: "done" });
  await settle();
  expect([await run.status, run.stderr.text]).toEqual([0, `${line(1)}${line(2)}${ERASE}`]);
});

test("it shows that the agent reports meanwhile", async () => {
  const agent = await site.agent("gpu-1", { answer: () => undefined });
  const run = site.start(["ping", "--timeout", "8"], { terminal: true });
  await settle();
  await seconds(4);
  await agent.publish();
  await seconds(2);
  expect(run.stderr.text).toEndWith(`${ERASE}Waiting for gpu-1 … (last seen 2 s ago, Ctrl-C to stop)`);
  await seconds(3);
  expect([await run.status, run.stderr.text]).toEqual([
    75,
    expect.stringContaining(`${ERASE}error: No answer within 8 s`),
  ]);
});

test.each([
  [["gpu-1", "gpu-2"], "Waiting for gpu-1, gpu-2 … (Ctrl-C to stop)"],
  [["gpu-1", "gpu-2", "gpu-3", "gpu-4"], "Waiting for 4 boxes … (Ctrl-C to stop)"],
])("it names the agents that have not answered of %p", async (silent, text) => {
  for (const name of silent) await site.agent(name, { answer: () => undefined });
  await site.agent("gpu-9");
  const run = site.start(["ping"], { terminal: true });
  await settle();
  await seconds(1);
  expect(run.stderr.text).toBe(`${ERASE}${text}`);
  run.stop();
  await settle();
  expect([await run.status, run.stderr.text]).toEqual([130, expect.stringContaining(`${text}${ERASE}`)]);
});

test("it fits on the screen, and nothing of it is in a pipe", async () => {
  await site.agent("gpu-1", { answer: () => undefined });
  const narrow = site.start(["ping"], { terminal: true, columns: 20 });
  const piped = site.start(["ping"]);
  await settle();
  await seconds(2);
  expect([narrow.stderr.text, piped.stderr.text]).toEqual([`${ERASE}Waiting for gpu-1 …`.repeat(2), ""]);
  narrow.stop();
  piped.stop();
  await settle();
  await Promise.all([narrow.status, piped.status]);
});
