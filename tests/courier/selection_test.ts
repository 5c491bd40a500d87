// src/courier/selection: agents by name and by pattern.
import { expect, test } from "bun:test";
import { Fleet } from "#src/courier/fleet.ts";
import { chooseAgents, isListed, listedAgents } from "#src/courier/selection.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { answerAsLegacyService } from "#tests/support/sites/client_run.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const SILENT_MS = 60_000;

async function open(names: readonly string[]) {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  for (const name of names) await ScriptedAgent.open(store, name);
  const transport = store.open();
  await transport.connect();
  return { clock, store, fleet: new Fleet(transport, clock) };
}

test("a pattern means the agents that it fits, each once; a name means that agent", async () => {
  const { fleet } = await open(["gpu-1", "gpu-10", "gpu-2", "rack-1"]);
  const chosen = async (...names: readonly string[]) => (await chooseAgents(fleet, names)).map(({ agent }) => agent);
  expect(await chosen("gpu-?", "*-1")).toEqual(["gpu-1", "gpu-2", "rack-1"]);
  expect(await chosen("gpu-10", "gpu-1*")).toEqual(["gpu-10", "gpu-1"]);
  expect(["gpu-1", "gpu-10"].map((agent) => isListed(agent, ["gpu-?", "rack-1"]))).toEqual([true, false]);
});

test("a pattern that matches nothing is not_found, and of many agents the hint has those that begin alike first", async () => {
  const { fleet } = await open([...Array.from({ length: 25 }, (_, index) => `gpu-${index + 1}`), "rack-7"]);
  for (const choose of [chooseAgents, listedAgents]) {
    const { code, message, hint } = await failure(choose(fleet, ["gpu-1", "rack-1*"]));
    expect([code, message]).toEqual(["not_found", 'No agent matches "rack-1*"']);
    expect(hint).toMatch(/^Known agents: rack-7, gpu-1, .* and 6 more$/);
  }
  expect((await failure(chooseAgents(fleet, ["rack-8"]))).hint).toStartWith("Known agents: rack-7, ");
});

test("a pattern leaves a silent legacy service out, as all agents do", async () => {
  const { clock, store, fleet } = await open(["gpu-1"]);
  await answerAsLegacyService(store, { success: true, models: [] });
  expect((await listedAgents(fleet, ["gpu*"])).map(({ agent }) => agent)).toEqual(["gpu", "gpu-1"]);
  await clock.advance(SILENT_MS);
  expect((await listedAgents(fleet, ["gpu*"])).map(({ agent }) => agent)).toEqual(["gpu-1"]);
});
