// gpuctl outdated, over both ways, with a registry that counts what it is asked.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { systemClock } from "#src/base/clock.ts";
import { UpdatesDocument } from "#src/documents/models/updates.ts";
import type { Response } from "#src/protocol.ts";
import { answerAsAgent, modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
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

/** Ends each pull at once, with what the registry has. */
function endPulls(agents: readonly ScriptedAgent[]): void {
  for (const agent of agents) {
    agent.answer = (command, of) => {
      const answer = answerAsAgent(command, of);
      if (command.command !== "pull_model") return answer;
      const name = command.model_name ?? "";
      const digest = registry.manifestDigest(name.split("/").at(-1)?.split(":")[0] ?? "");
      of.models = of.models.map((model) => (model.name === name ? { ...model, digest, modified_at: of.now() } : model));
      of.jobs = of.jobs.map((job) => ({ ...job, state: "succeeded", ended_at: of.now() }));
      return answer;
    };
  }
}

function pullsOf({ commands }: ScriptedAgent): (string | undefined)[] {
  return commands.filter(({ command }) => command === "pull_model").map(({ model_name }) => model_name);
}

/** What the agents were asked about. */
function askedOf(agents: readonly ScriptedAgent[]): string[] {
  const asked = agents.flatMap(({ commands }) => commands.filter(({ command }) => command === "published_model"));
  return asked.map(({ model_name }) => model_name ?? "");
}

/** Answers as an agent that reaches the registry, unless `refuses` has what it says. */
function reachRegistry(agents: readonly ScriptedAgent[], refuses?: Partial<Response>): void {
  for (const agent of agents)
    agent.answer = (command, of) => {
      if (command.command !== "published_model") return answerAsAgent(command, of);
      if (refuses !== undefined) return { success: false, ...refuses };
      const short = command.model_name?.split("/").at(-1)?.split(":")[0] ?? "";
      if (!NAMES.includes(short)) return { success: false, code: "not_found", error: "no such model" };
      return { published: { digest: registry.manifestDigest(short), total_bytes: 2_040, weights_bytes: 2_000 } };
    };
}

/** The registry may not be asked from where the comparison is made. */
async function outOfReach(): Promise<void> {
  await site[Symbol.asyncDispose]();
  site = await TwoWays.open(systemClock);
}

describe.each([...WAYS])("outdated over the %s, where only agents reach the registry", (way) => {
  test("asks one agent for each name, and shows the same", async () => {
    await outOfReach();
    const agents = await openFleet();
    reachRegistry(agents);
    const { status, stdout } = await site.run(way, ["outdated", "--json"]);
    const { updates } = UpdatesDocument.parse(JSON.parse(stdout));
    const counts = Map.groupBy(updates, ({ state }) => state);
    expect([status, ...[...counts].map(([state, of]) => [state, of.length])]).toEqual([
      0,
      ["outdated", 3],
      ["local", 2],
      ["current", 20],
    ]);
    expect(updates[0]).toMatchObject({ name: nameOf("m01"), registry_size: 2_040 });
    expect(askedOf(agents).toSorted()).toEqual([...LOCAL, ...NAMES].map(nameOf).toSorted());
    expect(requests().every((count) => count === 0)).toBe(true);
  });

  test("shows why it is unknown where no agent is able: two are asked, and one that is too old only at first", async () => {
    await outOfReach();
    const agents = await openFleet();
    reachRegistry(agents, { code: "unimplemented", error: 'Unknown command "published_model"' });
    const { stdout } = await site.run(way, ["outdated", "--json"]);
    const { updates } = UpdatesDocument.parse(JSON.parse(stdout));
    expect(new Set(updates.map(({ state, reason }) => `${state}: ${reason}`))).toEqual(
      new Set([`unknown: ${registry.host} may not be asked (--allow-registry); no agent could ask it either`]),
    );
    // Eight names are compared at once.
    for (const agent of agents) expect(askedOf([agent]).length).toBeLessThanOrEqual(8);
    const perName = Map.groupBy(askedOf(agents), (name) => name);
    expect(Math.max(...[...perName.values()].map((each) => each.length))).toBe(2);
  });

  test("asks the next agent where one does not allow the registry", async () => {
    await outOfReach();
    const agents = await openFleet();
    reachRegistry(agents);
    reachRegistry(agents.slice(0, 1), { code: "forbidden", error: "pulls are allowed there from elsewhere only" });
    const { stdout } = await site.run(way, ["outdated", nameOf("m01"), "--json"]);
    const { updates } = UpdatesDocument.parse(JSON.parse(stdout));
    expect(updates.map(({ state, agents: having }) => [state, having])).toEqual([
      ["outdated", ["gpu-1", "gpu-2"]],
      ["current", ["gpu-3"]],
    ]);
    expect(askedOf(agents)).toEqual([nameOf("m01"), nameOf("m01")]);
  });
});

describe.each([...WAYS])("update over the %s", (way) => {
  test("pulls what is outdated on the boxes that have it, and then there is nothing left to do", async () => {
    const agents = await openFleet();
    endPulls(agents);
    const dry = await site.run(way, ["update", "--all", "--dry-run", ...flagsOf(way)]);
    expect(dry.status).toBe(0);
    expect(dry.stdout.split("\n").filter((line) => line.includes("outdated"))).toHaveLength(3);
    expect(dry.stderr).toBe(
      "At most 12.8 kB to fetch, on all boxes together\n" +
        "1 could not be compared with their registries\n  gpuctl outdated shows why\nNothing was changed\n",
    );
    expect(agents.flatMap(pullsOf)).toEqual([]);

    const ran = await site.run(way, ["update", "--all", "--yes", ...flagsOf(way)]);
    expect(ran.status).toBe(0);
    const expected = ["m01", "m02", "m03"].map(nameOf);
    expect(agents.map(pullsOf)).toEqual([expected, expected, []]);
    expect(requests()).toEqual(Array.from({ length: 22 }, () => (way === "server" ? 1 : 2)));

    for (const agent of agents) await site.publish(agent);
    const again = await site.run(way, ["update", "--all", "--yes", ...flagsOf(way)]);
    expect([again.status, again.stdout]).toEqual([0, ""]);
    expect(agents.flatMap(pullsOf)).toHaveLength(6);
  });

  test("leaves agents alone that are not named, and asks before it changes several", async () => {
    const agents = await openFleet();
    endPulls(agents);
    expect(await site.run(way, ["update", nameOf("m01"), ...flagsOf(way)])).toMatchObject({ status: 73 });
    const asked = await site.run(way, ["update", "--all", ...flagsOf(way)], { terminal: true, answer: "n" });
    expect(asked.status).toBe(130);
    expect(asked.stderr).toContain("on 2 boxes? [y/N]");
    expect(agents.flatMap(pullsOf)).toEqual([]);
    const one = await site.run(way, ["update", nameOf("m0?"), "--agent", "gpu-1", ...flagsOf(way)]);
    expect(one.status).toBe(0);
    expect(agents.map((agent) => pullsOf(agent).length)).toEqual([3, 0, 0]);
  });

  test("fails for a model that was named and cannot be compared", async () => {
    const agents = await openFleet();
    const { status, stderr } = await site.run(way, ["update", nameOf("m20"), "--all", ...flagsOf(way)]);
    expect([status, agents.flatMap(pullsOf)]).toEqual([69, []]);
    expect(stderr).toContain("could not be compared");
  });
});

test("outdated, update --dry-run and update ask once for each name: gpuctl in each run, gpu-server in all of them", async () => {
  const agents = await openFleet();
  endPulls(agents);
  const asked: Record<Way, number[]> = { server: [], share: [] };
  // Neither way may ask this one.
  const closed = modelOf("127.0.0.1:9/library/gone:latest", { digest: "01d" });
  for (const agent of agents) {
    agent.models = [...agent.models, closed];
    await site.publish(agent);
  }
  for (const way of WAYS)
    for (const argv of [["outdated"], ["update", "--all", "--dry-run"], ["update", "--all", "--yes"]]) {
      const before = requests();
      await site.run(way, [...argv, ...flagsOf(way)]);
      const perName = requests().map((count, index) => count - (before[index] ?? 0));
      asked[way].push(Math.max(...perName));
      expect(new Set(perName).size).toBe(1);
    }
  process.stderr.write(
    `20 names (3 outdated, 1 that the registry fails to show), 2 copies, 1 out of reach on 3 boxes, requests per name in outdated, update --dry-run, update: ` +
      `gpu-server ${asked.server.join(", ")}; gpuctl on a share ${asked.share.join(", ")}\n`,
  );
  expect(asked).toEqual({ server: [1, 0, 0], share: [1, 1, 1] });
});
