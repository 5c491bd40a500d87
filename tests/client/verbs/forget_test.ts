// gpuctl forget.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ForgottenDocument } from "#src/documents/forgotten.ts";
import { PlannedDocument } from "#src/documents/planned.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { testKey } from "#tests/trust/test_key.ts";

let site: ClientSite;
let dir: string;
beforeEach(() => {
  site = new ClientSite();
  dir = mkdtempSync(join(tmpdir(), "gpu-courier-forget-"));
});
afterEach(async () => {
  await site.close();
  rmSync(dir, { recursive: true });
});

const MINUTES_MS = 60_000;

/** gpu-1 is there; gpu-10 has been silent for this long. */
async function fleet(silentMs: number): Promise<void> {
  await site.agent("gpu-10");
  await site.clock.advance(silentMs);
  await site.agent("gpu-1");
}

async function names(): Promise<string[]> {
  const { stdout } = await site.run(["agents", "--json"]);
  return JSON.parse(stdout).agents.map(({ agent }: { agent: string }) => agent);
}

test("forget removes an agent that has been silent for 5 minutes, and the others stay", async () => {
  await fleet(5 * MINUTES_MS);
  expect(await site.run(["forget", "gpu-10"])).toEqual({
    status: 0,
    stdout: "AGENT   RESULT\ngpu-10  removed its state and its inbox\n",
    stderr: "",
  });
  expect(await names()).toEqual(["gpu-1"]);
  expect(await site.run(["forget", "gpu-10"])).toMatchObject({
    status: 66,
    stderr: expect.stringContaining("Unknown agent"),
  });
});

test("forget takes a range as gpuctl writes it, and a pattern", async () => {
  for (const name of ["gpu-9", "gpu-10", "gpu-11", "rack-a"]) await site.agent(name);
  await site.clock.advance(5 * MINUTES_MS);
  expect((await site.run(["forget", "gpu-[9-10]", "rack-?", "--yes"])).stdout.split(/\s+/).slice(2)).toEqual(
    expect.arrayContaining(["gpu-9", "gpu-10", "rack-a"]),
  );
  expect(await names()).toEqual(["gpu-11"]);
});

test.each([
  [4 * MINUTES_MS, "gpu-10", "error: Cannot forget gpu-10: it was there a moment ago\n  Wait 5 minutes"],
  [5 * MINUTES_MS, "gpu-1", "error: Cannot forget gpu-1: it is there\n  On gpu-1: "],
])("forget refuses after %p ms of silence for %p", async (silentMs, agent, text) => {
  await fleet(silentMs);
  expect(await site.run(["forget", agent])).toMatchObject({ status: 73, stderr: expect.stringContaining(text) });
  expect(await names()).toEqual(["gpu-1", "gpu-10"]);
});

test("forget waits 20 s after an agent stopped: somebody else may have written that", async () => {
  const agent = await site.agent("gpu-10");
  await agent.publish({ status: "stopped" });
  expect(await site.run(["forget", "gpu-10"])).toMatchObject({
    status: 73,
    stderr: expect.stringContaining("Wait 20 seconds: it may only be restarting"),
  });
  await site.clock.advance(20_000);
  expect((await site.run(["forget", "gpu-10"])).status).toBe(0);
});

test("forget keeps the key, so that no other box becomes the agent unseen", async () => {
  const knownAgentsFile = join(dir, "known_agents.json");
  await site.agent("gpu-10", { key: testKey(1) });
  await site.run(["agents"], { knownAgentsFile });
  await site.clock.advance(5 * MINUTES_MS);
  const { status, stderr } = await site.run(["forget", "gpu-10"], { knownAgentsFile });
  expect([status, stderr]).toEqual([
    0,
    "The key of gpu-10 stays known\n  To accept another box under this name: gpuctl trust gpu-10 KEY\n",
  ]);
  await ScriptedAgent.open(site.store, "gpu-10", { key: testKey(2) });
  expect((await site.run(["agents"], { knownAgentsFile })).stdout).toContain("conflict");
});

test("forget of several boxes notes their keys at once", async () => {
  const knownAgentsFile = join(dir, "known_agents.json");
  for (let number = 10; number < 24; number++) await site.agent(`gpu-${number}`, { key: testKey(number) });
  await site.run(["agents"], { knownAgentsFile });
  await site.clock.advance(5 * MINUTES_MS);
  const { status, stderr } = await site.run(["forget", "gpu-[10-23]"], { knownAgentsFile });
  expect([status, stderr]).toEqual([
    0,
    "The keys of gpu-[10-23] stay known\n  To accept another box under one of these names: gpuctl trust AGENT KEY\n",
  ]);
});

test("forget asks at a terminal, also for one box, and shows with --dry-run what it would do", async () => {
  await fleet(5 * MINUTES_MS);
  const { status, stderr } = await site.run(["forget", "gpu-10"], { answer: "" });
  expect([status, stderr]).toEqual([130, "Forget gpu-10? [y/N] \nNothing was changed\n"]);
  const { stdout } = await site.run(["forget", "gpu-10", "gpu-1", "--dry-run", "--json"]);
  expect(PlannedDocument.parse(JSON.parse(stdout)).changes.map(({ agent, skipped }) => [agent, skipped])).toEqual([
    ["gpu-10", null],
    ["gpu-1", "Cannot forget gpu-1: it is there"],
  ]);
  expect(await names()).toEqual(["gpu-1", "gpu-10"]);
  const forgotten = await site.run(["forget", "gpu-10", "gpu-1", "--json"]);
  expect(forgotten.status).toBe(1);
  expect(ForgottenDocument.parse(JSON.parse(forgotten.stdout)).agents).toEqual([
    { agent: "gpu-10", code: null, error: null, commands: 0 },
    { agent: "gpu-1", code: "conflict", error: "Cannot forget gpu-1: it is there", commands: null },
  ]);
});
