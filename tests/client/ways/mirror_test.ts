// gpuctl mirror and gpuctl pull --mirror, on the share and through gpu-server.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { systemClock } from "#src/base/clock.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { answerAsAgent, modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { until } from "#tests/support/until.ts";
import { masked, TwoWays, WAYS, type Way } from "./two_ways.ts";

const MB = 1_000_000;

let registry: Registry;
let share: MirrorShare;
let site: TwoWays;
let stop: AbortController;
let running: Promise<void> | undefined;
beforeEach(async () => {
  registry = await Registry.start();
  share = new MirrorShare();
  site = await TwoWays.open(systemClock, { insecureRegistries: [registry.host], mirrorShare: share.share });
  stop = new AbortController();
  running = site.server.services.mirror?.fetches.run(stop.signal);
});
afterEach(async () => {
  stop.abort();
  await running;
  await site[Symbol.asyncDispose]();
  share[Symbol.dispose]();
  await registry.stop();
});

/** On the share gpuctl fetches from this machine. */
const insecure = (way: Way): string[] => (way === "share" ? ["--insecure-registry", registry.host] : []);
const at = (way: Way): string[] => (way === "share" ? ["--share", share.share] : []);

async function gpuctl(way: Way, argv: readonly string[]) {
  return await site.run(way, [...argv, ...at(way)]);
}

/** Ends each pull at once. */
async function box(name: string): Promise<ScriptedAgent> {
  const agent = await site.agent(name);
  agent.answer = async (command, of) => {
    const answer = answerAsAgent(command, of);
    if (command.command !== "pull_model") return answer;
    of.jobs = of.jobs.map((job) => ({ ...job, state: "succeeded", ended_at: of.now() }));
    await site.publish(of);
    return answer;
  };
  return agent;
}

const pullsOf = ({ commands }: ScriptedAgent) =>
  commands.filter(({ command }) => command === "pull_model").map(({ model_name }) => model_name);

test("mirror list shows the same on both ways: the models, and the agents that have them", async () => {
  const { text } = share.mirrored("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
  const digest = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  for (const [name, has] of [
    ["gpu-1", digest],
    ["gpu-2", digest],
    ["gpu-3", "01d"],
  ] as const)
    await site.agent(name, { models: [modelOf("phi4:latest", { digest: has })] });
  for (const format of [[], ["--json"]]) {
    const [here, there] = [
      await gpuctl("share", ["mirror", "list", ...format]),
      await gpuctl("server", ["mirror", "list", ...format]),
    ];
    expect(masked(here)).toEqual(masked(there));
    expect(here.status).toBe(0);
  }
  const { stdout } = await gpuctl("server", ["mirror", "list"]);
  expect(stdout).toMatch(/^phi4:latest +13 B +complete +gpu-\[1-2\]; another one: gpu-3$/m);
});

describe.each([...WAYS])("pull --mirror over the %s", (way) => {
  test("fetches the model once, and then pulls it on every agent", async () => {
    const agents = [await box("gpu-1"), await box("gpu-2")];
    const model = registry.offer("m", { layers: [2 * MB] });
    const ran = await gpuctl(way, ["pull", model, "--all", "--yes", "--mirror", ...insecure(way)]);
    expect(ran).toMatchObject({ status: 0 });
    expect(agents.map(pullsOf)).toEqual([[model], [model]]);
    expect(registry.served("m").bytes).toBe(2 * MB);
    expect(share.mirror.find(model)).resolves.not.toBeNull();
  });

  test("refuses --max-wait, which counts pulls alone, with what to do instead", async () => {
    await box("gpu-1");
    const ran = await gpuctl(way, ["pull", "phi4", "--mirror", "--max-wait", "5"]);
    expect([ran.status, ran.stderr]).toEqual([64, expect.stringContaining("--mirror fetches the model first")]);
    expect(ran.stderr).toContain("gpuctl mirror add MODEL, and then gpuctl pull MODEL --max-wait SECONDS");
  });

  test("shows once why a model cannot be fetched, and pulls the others", async () => {
    const agents = [await box("gpu-1"), await box("gpu-2")];
    const [good, none] = [registry.offer("m", { layers: [1000] }), `${registry.host}/library/none:latest`];
    const ran = await gpuctl(way, ["pull", none, good, "--all", "--yes", "--mirror", ...insecure(way)]);
    expect(ran.status).toBe(66);
    expect(ran.stderr.match(/has no 127/g)).toHaveLength(1);
    expect(agents.map(pullsOf)).toEqual([[good], [good]]);
  });
});

test.each(["--allow-registry", "--insecure-registry"])(
  "pull refuses %s without --mirror, where it has no effect",
  async (flag) => {
    const agent = await box("gpu-1");
    const ran = await gpuctl("share", ["pull", "phi4", flag, registry.host]);
    expect([ran.status, ran.stderr]).toEqual([64, expect.stringContaining("Add --mirror")]);
    expect(pullsOf(agent)).toEqual([]);
  },
);

describe.each([...WAYS])("fetches of agents over the %s", (way) => {
  const FETCH = {
    id: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
    model: "phi4:latest",
    state: "running",
    completed_bytes: 12_000_000,
    total_bytes: 24_000_000,
    created_at: "2026-01-02T03:04:05.000Z",
  } as const;

  test("add --agent starts one there and follows it, fetches lists it, cancel ends it", async () => {
    const agent = await site.agent("gpu-1");
    agent.answer = ({ command }) => ({
      fetch: command === "fetch_model" ? FETCH : { ...FETCH, state: "cancelled", code: "cancelled" },
    });
    const add = ["mirror", "add", "phi4", "--agent", "gpu-1"];
    expect((await gpuctl(way, [...add, "--detach"])).stdout).toContain(FETCH.id);
    const following = await site.start(way, [...add, ...at(way)]);
    await until(() => following.stderr.text.includes("gpu-1 fetches phi4:latest"));
    await site.publish(agent, { fetches: [FETCH] });
    const listed = await gpuctl(way, ["mirror", "fetches"]);
    expect(listed.stdout).toMatch(/^019ac8d2\S+ +phi4:latest +gpu-1 +running +12\.0 MB of 24\.0 MB$/m);
    expect((await gpuctl(way, ["mirror", "cancel", FETCH.id])).stdout).toBe("cancelled the fetch of phi4:latest\n");
    await site.publish(agent, { fetches: [{ ...FETCH, state: "failed", code: "exhausted", error: "No room" }] });
    expect(await following.status).toBe(75);
    expect(following.stderr.text).toContain("Cannot fetch phi4:latest into the mirror: No room");
    const verbs = agent.commands.map(({ command }) => command);
    expect(verbs).toEqual(["fetch_model", "fetch_model", "cancel_job"]);
  });
});

describe.each([...WAYS])("fetches of agents over the %s, on 80 columns", (way) => {
  test("mirror fetches keeps the whole id, which cancel needs", async () => {
    const agent = await site.agent("gpu-12-rack-4-of-the-east-wing");
    const fetch = {
      id: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
      model: "hf.co/some-organization/A-Very-Long-Model-Name-GGUF:Q4_K_M",
      state: "running",
      completed_bytes: 12_000_000,
      total_bytes: 24_000_000,
      bytes_per_second: 1_000_000,
    } as const;
    await site.publish(agent, { fetches: [fetch] });
    const argv = ["mirror", "fetches", ...at(way)];
    const { stdout } = await site.run(way, argv, { terminal: true, columns: 80 });
    expect(stdout).toContain(`${fetch.id}  `);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

test("mirror list fits 80 columns", async () => {
  share.mirrored("hf.co/some-organization/A-Very-Long-Model-Name-For-A-Test-GGUF/Q4_K_M", ["config", "weights"]);
  for (const way of WAYS) {
    const argv = ["mirror", "list", ...at(way)];
    const { stdout } = await site.run(way, argv, { terminal: true, columns: 80 });
    expect(stdout).toContain("complete");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  }
});

describe("through gpu-server", () => {
  test("add fetches there, fetches shows it, rm and gc remove", async () => {
    const model = registry.offer("m", { layers: [2 * MB] });
    const added = await gpuctl("server", ["mirror", "add", model]);
    expect([added.status, added.stdout]).toEqual([0, `${model} is in the mirror: 2.0 MB\n`]);
    const listed = await gpuctl("server", ["mirror", "fetches"]);
    expect(listed.stdout).toMatch(/^[0-9a-f-]{36} +127\S+ +gpu-server +succeeded +2\.0 MB$/m);
    expect(JSON.parse((await gpuctl("server", ["mirror", "fetches", "--json"])).stdout).fetches).toMatchObject([
      { model },
    ]);
    expect((await gpuctl("server", ["mirror", "rm", model])).stdout).toMatch(
      /^removed 127\S+ from the mirror, freed 2\.0 MB\n$/,
    );
    expect((await gpuctl("server", ["mirror", "rm", model])).status).toBe(66);
    expect((await gpuctl("server", ["mirror", "gc"])).stdout).toBe("nothing to remove\n");
  });

  test("add ends with the reason of a fetch that failed", async () => {
    const { status, stderr } = await gpuctl("server", ["mirror", "add", `${registry.host}/library/none`]);
    expect([status, stderr]).toEqual([66, expect.stringContaining("Cannot fetch")]);
    const failed = await gpuctl("server", ["mirror", "add", `${registry.host}/library/none`, "--json"]);
    expect(JSON.parse(failed.stdout)).toMatchObject({ state: "failed", code: "not_found" });
  });

  test("one model that is refused keeps no other back", async () => {
    const model = registry.offer("m", { layers: [1000] });
    const agents = [await box("gpu-1")];
    const models = ["elsewhere.example/a/b", model];
    const added = await gpuctl("server", ["mirror", "add", ...models]);
    expect(added.status).toBe(77);
    expect(added.stderr).toContain("elsewhere.example");
    expect(added.stdout).toMatch(/^127\S+ is in the mirror: 1\.\d kB\n$/);
    const pulled = await gpuctl("server", ["pull", ...models, "--all", "--yes", "--mirror", "--detach"]);
    expect([pulled.status, pulled.stdout]).toEqual([77, expect.stringContaining(model)]);
    await until(() => agents.every((agent) => pullsOf(agent).length === 1));
  });

  test("--detach ends at once, and cancel ends the fetch", async () => {
    const agent = await box("gpu-1");
    const model = registry.offer("m", { layers: [2 * MB], bytesPerSecond: 200_000 });
    const pulled = await gpuctl("server", ["pull", model, "--all", "--yes", "--mirror", "--detach", "--json"]);
    const { jobs, fetch } = JSON.parse(pulled.stdout);
    expect([pulled.status, jobs, fetch.pulls.length]).toEqual([0, [], 1]);
    const again = await gpuctl("server", ["mirror", "add", model, "--detach"]);
    expect(again.stdout).toContain(fetch.id);
    expect((await gpuctl("server", ["mirror", "cancel", fetch.id])).stdout).toBe(`cancelled the fetch of ${model}\n`);
    expect((await gpuctl("server", ["mirror", "cancel", fetch.id])).status).toBe(0);
    expect(pullsOf(agent)).toEqual([]);
  });

  test("after Ctrl-C gpu-server continues, and pulls", async () => {
    const agent = await box("gpu-1");
    const model = registry.offer("m", { layers: [2 * MB], bytesPerSecond: 200_000 });
    const gpuctlRun = await site.start("server", ["pull", model, "--all", "--yes", "--mirror"]);
    await until(() => gpuctlRun.stderr.text.includes("gpu-server fetches"));
    gpuctlRun.stop();
    expect(await gpuctlRun.status).toBe(130);
    expect(gpuctlRun.stderr.text).toContain("gpu-server continues to fetch");
    registry.setSpeed("m", Infinity);
    await until(() => pullsOf(agent).length === 1);
  });

  test("without --mirror of gpu-server, every verb shows that", async () => {
    await using other = await TwoWays.open(systemClock);
    for (const verb of [["list"], ["fetches"], ["add", "phi4"], ["gc"]]) {
      const { status, stderr } = await other.run("server", ["mirror", ...verb]);
      expect([status, stderr]).toEqual([69, expect.stringContaining("runs no mirror")]);
    }
  });
});
