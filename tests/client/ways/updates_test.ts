// gpuctl outdated, over both ways, with a registry that counts what it is asked.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { systemClock } from "#src/base/clock.ts";
import { UpdatesDocument } from "#src/documents/updates.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";
import { TwoWays, WAYS, type Way } from "./two_ways.ts";

let registry: Registry;
let site: TwoWays;
beforeEach(async () => {
  registry = await Registry.start();
  site = await TwoWays.open(systemClock, { insecureRegistries: [registry.host] });
});
afterEach(async () => {
  await site[Symbol.asyncDispose]();
  await registry.stop();
});

const NAMES = Array.from({ length: 20 }, (_, index) => `m${String(index + 1).padStart(2, "0")}`);
const LOCAL = ["copy-a", "copy-b"];

function nameOf(model: string): string {
  return `${registry.host}/library/${model}:latest`;
}

/** 20 names on 3 boxes, of which 3 are outdated on all but the last box, 2 copies, and one that the registry fails to show. */
async function openFleet() {
  for (const name of NAMES) registry.offer(name, { layers: [2000, 40] });
  registry.break("m20", { kind: "manifest", status: 500 });
  const current = NAMES.map((name) => modelOf(nameOf(name), { digest: registry.manifestDigest(name) }));
  const copies = LOCAL.map((name) => modelOf(nameOf(name), { digest: "c0" }));
  const cloud = modelOf("gpt-oss:120b-cloud", { remote_host: "https://ollama.com:443", remote_model: "gpt-oss:120b" });
  const old = current.map((model, index) => (index < 3 ? { ...model, digest: "01d" } : model));
  const agents = [];
  for (const [name, models] of [
    ["gpu-1", old],
    ["gpu-2", old],
    ["gpu-3", current],
  ] as const)
    agents.push(await site.agent(name, { models: [...models, ...copies, cloud] }));
  return agents;
}

function flagsOf(way: Way): readonly string[] {
  return way === "share" ? ["--insecure-registry", registry.host] : [];
}

function requests(): number[] {
  return [...NAMES, ...LOCAL].map((name) => registry.manifestRequests(name));
}

describe.each([...WAYS])("outdated over the %s", (way) => {
  test("asks the registry once for each name, and shows for each copy what it is", async () => {
    await openFleet();
    const { status, stdout } = await site.run(way, ["outdated", "--json", ...flagsOf(way)]);
    expect(status).toBe(0);
    const { updates } = UpdatesDocument.parse(JSON.parse(stdout));
    const counts = Map.groupBy(updates, ({ state }) => state);
    expect([...counts].map(([state, of]) => [state, of.length])).toEqual([
      ["outdated", 3],
      ["unknown", 1],
      ["local", 2],
      ["current", 19],
    ]);
    expect(updates[0]).toMatchObject({
      name: nameOf("m01"),
      agents: ["gpu-1", "gpu-2"],
      registry_digest: registry.manifestDigest("m01"),
    });
    expect(counts.get("unknown")?.[0]?.reason).toBe(`${registry.host} answers 500`);
    expect(requests()).toEqual(Array.from({ length: 22 }, () => 1));
  });

  test("shows a table that fits 80 columns", async () => {
    await openFleet();
    const { stdout, stderr } = await site.run(way, ["outdated", ...flagsOf(way)], { terminal: true, columns: 80 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
    expect(lines[0]).toMatch(/^MODEL +STATE +SIZE +AGENTS$/);
    expect(lines.filter((line) => line.includes("outdated"))).toHaveLength(3);
    expect(stderr).toContain("3 of 25 can be updated");
  });

  test("looks only at the models and the agents that are named", async () => {
    await openFleet();
    const named = await site.run(way, ["outdated", nameOf("m01"), "--agent", "gpu-3", "--json", ...flagsOf(way)]);
    const { updates } = UpdatesDocument.parse(JSON.parse(named.stdout));
    expect(updates.map(({ name, state, agents }) => [name, state, agents])).toEqual([
      [nameOf("m01"), "current", ["gpu-3"]],
    ]);
    expect(requests().reduce((sum, count) => sum + count, 0)).toBe(1);
    const none = await site.run(way, ["outdated", "nothing", ...flagsOf(way)]);
    expect(none).toMatchObject({
      status: 66,
      stderr: expect.stringContaining('No agent has the model "nothing:latest"'),
    });
  });
});

test("the server keeps its answers for the next one who asks", async () => {
  await openFleet();
  for (let round = 0; round < 3; round++) await site.run("server", ["outdated"]);
  expect(requests()).toEqual(Array.from({ length: 22 }, () => 1));
});

test("gpuctl asks no registry that is not named, wherever a box says that its model is from", async () => {
  await openFleet();
  const { stdout } = await site.run("share", ["outdated", nameOf("m01"), "--json"]);
  expect(UpdatesDocument.parse(JSON.parse(stdout)).updates[0]).toMatchObject({ state: "unknown" });
  expect(requests().every((count) => count === 0)).toBe(true);
});
