// gpuctl show, ps, stop, cp and cancel.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { JobsDocument } from "#src/documents/jobs.ts";
import { ShownDocument } from "#src/documents/models.ts";
import { CopiedDocument, UnloadedDocument } from "#src/documents/outcomes.ts";
import { LoadedDocument, RunningDocument } from "#src/documents/running.ts";
import type { RunningModel } from "#src/protocol.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import { modelOf, type ScriptedAgent, SHOWN } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

const PHI4 = modelOf("phi4:latest", { digest: "ac896e5b8b34" });

async function twoHolders(): Promise<[ScriptedAgent, ScriptedAgent]> {
  return [await site.agent("gpu-1", { models: [PHI4] }), await site.agent("gpu-2", { models: [PHI4] })];
}

describe("show", () => {
  test("shows the model, from an agent that has it", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2", { models: [{ ...PHI4, modified_at: site.ago(7200) }] });
    const { status, stdout, stderr } = await site.run(["show", "phi4"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        "  Model",
        "    name                phi4:latest",
        "    agent               gpu-2",
        "    architecture        llama",
        "    parameters          14.7B",
        "    context length      16384",
        "    embedding length    5120",
        "    quantization        Q4_K_M",
        "    size                9.1 GB",
        "    digest              ac896e5b8b34",
        "    modified            2 hours ago",
        "",
        "  Capabilities",
        "    completion",
        "    tools",
        "",
        "  Parameters",
        '    stop           "<|user|>"',
        "    temperature    0.7",
        "",
        "  License",
        "    MIT License",
        "    Copyright (c)",
        "",
        "",
      ].join("\n"),
    );
  });

  test("names the agents that have another version of the model", async () => {
    await site.agent("gpu-1", { models: [PHI4] });
    await site.agent("gpu-2", { models: [{ ...PHI4, digest: "other" }] });
    await site.agent("gpu-3", { models: [PHI4] });
    const { status, stderr } = await site.run(["show", "phi4"]);
    expect([status, stderr]).toEqual([0, "gpu-2 has another version: --agent gpu-2 shows it\n"]);
    const other = await site.run(["show", "phi4", "--agent", "gpu-2", "--json"]);
    expect(ShownDocument.parse(JSON.parse(other.stdout))).toMatchObject({ digest: "other", show: SHOWN });
  });

  test("asks the agents for a model that no state shows yet", async () => {
    const agent = await site.agent("gpu-1", { models: [] });
    await site.agent("gpu-2", { models: [] });
    agent.models = [modelOf("copy:latest", { digest: "77" })];
    const { status, stdout } = await site.run(["show", "copy"]);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^ *name +copy:latest\n *agent +gpu-1$/m)]);
  });

  test("fails with 69 when an agent that may have it could not answer, and names it", async () => {
    const answer = () => ({ success: false, code: "unavailable", error: "Ollama does not answer" }) as const;
    await site.agent("gpu-1", { models: [] });
    await site.agent("gpu-2", { models: [], answer });
    expect(await site.run(["show", "copy"])).toMatchObject({
      status: 69,
      stderr:
        'error: No agent that answered has the model "copy:latest"; could not ask gpu-2: Ollama does not answer\n' +
        "  gpuctl agents shows why\n",
    });
    for (let number = 3; number < 16; number++) await site.agent(`gpu-${number}`, { models: [], answer });
    expect((await site.run(["show", "copy"])).stderr).toContain("; could not ask gpu-[2-15]\n");
  });

  test("fails with 66 when nobody has it, and with 64 for several agents", async () => {
    await twoHolders();
    expect(await site.run(["show", "nothing"])).toMatchObject({
      status: 66,
      stderr: 'error: No online agent has the model "nothing:latest"\n  See gpuctl list\n',
    });
    expect((await site.run(["show", "phi4", "--all"])).status).toBe(64);
  });
});

describe("ps and stop", () => {
  const running: RunningModel = {
    name: "phi4:latest",
    size: 10e9,
    size_vram: 10e9,
    expires_at: "2026-01-02T03:09:05.000Z",
  };

  test("ps shows where each model is and for how long", async () => {
    const agents = await twoHolders();
    agents[0].running = [running, { ...running, name: "gemma3:270m", size_vram: 0 }];
    const brief = { digest: "ac89", details: { family: "phi3" }, context_length: 16_384 };
    agents[1].running = [{ ...running, ...brief, size_vram: 5.2e9, expires_at: "2318-01-02T03:04:05.000Z" }];
    for (const agent of agents) await agent.publish();
    const { status, stdout, stderr } = await site.run(["ps"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        "NAME         AGENT     SIZE  PROCESSOR          CONTEXT  UNTIL",
        "gemma3:270m  gpu-1  10.0 GB  100 % CPU                -  5 minutes from now",
        "phi4:latest  gpu-1  10.0 GB  100 % GPU                -  5 minutes from now",
        "phi4:latest  gpu-2  10.0 GB  48 %/52 % CPU/GPU    16384  forever",
        "",
      ].join("\n"),
    );
    const json = await site.run(["ps", "--json", "--agent", "gpu-2"]);
    expect(RunningDocument.parse(JSON.parse(json.stdout)).running).toMatchObject([
      { agent: "gpu-2", size_vram: 5.2e9, context_length: 16_384, digest: "ac89", details: { family: "phi3" } },
    ]);
  });

  test("ps keeps the beginning and the tag of a long name on a narrow terminal", async () => {
    const [agent] = await twoHolders();
    agent.running = [{ ...running, name: "qwen2.5-coder:32b-instruct-q4_K_M" }];
    await agent.publish();
    const { stdout } = await site.run(["ps"], { terminal: true, columns: 50 });
    expect(stdout).toMatch(/^qwen2\.5\S*…\S*q4_K_M {2}gpu-1 {2}5 minutes from now$/m);
  });

  test("ps says when nothing is in memory, and which agents could not say", async () => {
    await site.agent("gpu-1");
    await (await site.agent("gpu-2")).publish({ status: "stopped" });
    const { status, stdout, stderr } = await site.run(["ps"]);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr).toStartWith("No model is in memory\ngpu-2 not included: stopped ");
  });

  test("stop takes it out of memory, with a result per agent", async () => {
    const [agent] = await twoHolders();
    await site.agent("gpu-3");
    agent.running = [running];
    const { status, stdout } = await site.run(["stop", "phi4", "--agent", "gpu-1,gpu-3"]);
    expect(status).toBe(1);
    expect(stdout).toContain("gpu-1  Unloaded phi4:latest\n");
    expect(stdout).toContain('gpu-3  failed: gpu-3 says: Model "phi4:latest" is not on gpu-3\n');
    expect(agent.running).toEqual([]);
    const json = await site.run(["stop", "phi4", "--json", "--agent", "gpu-1"]);
    expect(UnloadedDocument.parse(JSON.parse(json.stdout)).agents).toMatchObject([{ agent: "gpu-1", code: null }]);
  });
});

describe("load", () => {
  test("loads models on each agent, for as long as --keep-alive says, with a result per agent", async () => {
    const agents = await twoHolders();
    await site.agent("gpu-3");
    const { status, stdout } = await site.run(["load", "phi4", "--all", "--keep-alive", "1h30m"]);
    expect([status, stdout]).toEqual([
      1,
      [
        "AGENT  RESULT",
        "gpu-1  Loaded phi4:latest",
        "gpu-2  Loaded phi4:latest",
        'gpu-3  failed: gpu-3 says: Model "phi4:latest" is not on gpu-3',
        "",
      ].join("\n"),
    ]);
    for (const { running: loaded, commands } of agents) {
      expect(loaded).toMatchObject([{ name: "phi4:latest" }]);
      expect(commands.at(-1)?.arguments).toEqual({ keep_alive: 5400 });
    }
    const json = await site.run(["load", "phi4", "--json", "--agent", "gpu-1", "--keep-alive", "-1"]);
    expect(LoadedDocument.parse(JSON.parse(json.stdout)).agents).toEqual([
      { agent: "gpu-1", model: "phi4:latest", code: null, error: null },
    ]);
    expect(agents[0]?.commands.at(-1)?.arguments).toEqual({ keep_alive: -1 });
  });

  test("leaves the time to the agent's Ollama without --keep-alive", async () => {
    const [agent] = await twoHolders();
    expect((await site.run(["load", "phi4", "--agent", "gpu-1"])).status).toBe(0);
    expect(agent.commands.map((command) => command.arguments)).toEqual([undefined]);
  });

  test.each([["0"], ["0s"], ["soon"], [""]])(
    "refuses --keep-alive %p with status 64, and sends nothing",
    async (text) => {
      const [agent] = await twoHolders();
      const { status, stderr } = await site.run(["load", "phi4", "--agent", "gpu-1", "--keep-alive", text]);
      expect([status, stderr]).toEqual([64, expect.stringContaining("keep_alive")]);
      expect(agent.commands).toEqual([]);
    },
  );
});

describe("cp", () => {
  test("gives a second name on every agent that has it", async () => {
    const agents = await twoHolders();
    const { status, stdout } = await site.run(["cp", "phi4", "mine", "--all"]);
    expect([status, stdout]).toEqual([
      0,
      "AGENT  RESULT\ngpu-1  copied phi4:latest to mine:latest\ngpu-2  copied phi4:latest to mine:latest\n",
    ]);
    for (const { models } of agents) expect(models.map(({ name }) => name)).toEqual(["phi4:latest", "mine:latest"]);
    const json = await site.run(["cp", "nothing", "mine", "--agent", "gpu-1", "--json"]);
    expect(json.status).toBe(66);
    expect(CopiedDocument.parse(JSON.parse(json.stdout)).agents).toMatchObject([
      { model: "nothing:latest", destination: "mine:latest", code: "not_found" },
    ]);
  });

  test("refuses an invalid second name before anything is sent", async () => {
    const [agent] = await twoHolders();
    expect((await site.run(["cp", "phi4", "a b", "--all"])).status).toBe(64);
    expect(agent.commands).toEqual([]);
  });
});

describe("rm and pull --all", () => {
  test("name the agents that stopped, and exit with 1", async () => {
    await twoHolders();
    await (await site.agent("gpu-3", { models: [PHI4] })).publish({ status: "stopped" });
    const { status, stdout, stderr } = await site.run(["rm", "phi4", "--all"]);
    expect([status, stderr]).toEqual([1, "1 of 3 agents failed\n"]);
    expect(stdout).toContain("gpu-2  deleted phi4:latest\ngpu-3  failed: gpu-3 stopped ");
    const lone = await site.run(["pull", "phi4", "--agent", "gpu-3", "--json"]);
    expect(lone.status).toBe(69);
  });
});

describe("cancel", () => {
  const job = jobOf({ state: "running", completed_bytes: 2.7e9, total_bytes: 9e9 });

  async function pulling(): Promise<ScriptedAgent> {
    const agent = await site.agent("gpu-1");
    const before = { ...job, id: "01a20aac-0000-7785-b91f-da066d157a40", state: "succeeded" } as const;
    agent.jobs = [before, job, { ...job, id: "01a20aac-24d0-7785-b91f-000000000001" }];
    await agent.publish();
    return agent;
  }

  test.each([
    ["its whole id", "01a20aac-24d0-7785-b91f-da066d157a40"],
    ["the end that the table shows", "da066d157a40"],
  ])("ends a job by %s", async (_, id) => {
    const agent = await pulling();
    const { status, stdout, stderr } = await site.run(["cancel", id]);
    expect([status, stdout, stderr]).toEqual([0, "AGENT  RESULT\ngpu-1  cancelled phi4:latest\n", ""]);
    expect(agent.commands.map(({ arguments: given }) => given)).toEqual([{ job_id: job.id }]);
  });

  test("ends what pulls a model, on the chosen agents", async () => {
    const names = ["gpu-1", "gpu-2", "gpu-3"];
    for (const [index, name] of names.entries()) {
      const agent = await site.agent(name);
      agent.jobs = [{ ...job, id: `01a20aac-24d0-7785-b91f-00000000000${index}`, agent: name }];
      if (name === "gpu-3") agent.jobs = agent.jobs.map((each) => ({ ...each, state: "succeeded" }));
      await agent.publish();
    }
    expect(await site.run(["cancel", "phi4"])).toEqual({
      status: 73,
      stdout: "",
      stderr: "error: Several agents pull phi4: gpu-1, gpu-2\n  Choose agents with --agent, or use --all\n",
    });
    const one = await site.run(["cancel", "PHI4:latest", "--agent", "gpu-2"]);
    expect(one).toMatchObject({ status: 0, stdout: "AGENT  RESULT\ngpu-2  cancelled phi4:latest\n" });
    // The only one that is left is meant without a word; what has ended is no pull under way.
    const rest = await site.run(["cancel", "phi4", "000000000000", "--json"]);
    expect(rest.status).toBe(0);
    expect(JobsDocument.parse(JSON.parse(rest.stdout)).jobs).toMatchObject([{ agent: "gpu-1", state: "cancelled" }]);
    expect(await site.run(["cancel", "phi4", "--all"])).toEqual({
      status: 66,
      stdout: "",
      stderr:
        "error: No job and no running pull matches phi4: the last one was cancelled\n  gpuctl jobs lists the jobs\n",
    });
  });

  test("names the agents that could not be asked for a job", async () => {
    await site.agent("gpu-1");
    await (await site.agent("gpu-2")).publish({ status: "stopped" });
    const { status, stderr } = await site.run(["cancel", "01a20aac-24d0-7785-b91f-999999999999"]);
    expect(status).toBe(66);
    expect(stderr).toStartWith("error: No agent has a job 01a20aac-24d0-7785-b91f-999999999999; could not ask gpu-2\n");
  });

  test("ends several, on whatever agents they are, and reports those that it could not", async () => {
    await pulling();
    const ids = ["da066d157a40", "000000000001", "01a20aac-0000-7785-b91f-da066d157a40"];
    const { status, stdout } = await site.run(["cancel", ...ids, "--json"]);
    expect(status).toBe(1);
    expect(JobsDocument.parse(JSON.parse(stdout)).jobs).toMatchObject([
      { state: "cancelled", partial_bytes: 2.7e9 },
      { state: "cancelled" },
      { state: "succeeded", code: "conflict" },
    ]);
  });

  test("ends those that it finds, and reports each word that means none", async () => {
    const agent = await pulling();
    const zz = (id: number, state: "succeeded" | "failed", secondsAgo: number) => ({
      ...job,
      id: `01a20aac-24d0-7785-b91f-00000000000${id}`,
      model: "zz:latest",
      state,
      created_at: site.ago(secondsAgo),
    });
    agent.jobs = [...agent.jobs, zz(3, "succeeded", 60), zz(2, "failed", 5)];
    await agent.publish();
    const none = (word: string, more = ""): string =>
      `error: No job and no running pull matches ${word}${more}\n  gpuctl jobs lists the jobs\n`;
    const words = ["cancel", "zz", "000000000001", "nobody"];
    const missed = none("zz", ": the last one failed") + none("nobody");
    const plan = await site.run([...words, "--dry-run"]);
    expect([plan.status, plan.stderr]).toEqual([1, `${missed}Nothing was changed\n`]);
    expect(await site.run(words)).toEqual({
      status: 1,
      stdout: "AGENT  RESULT\ngpu-1  cancelled phi4:latest\n",
      stderr: missed,
    });
    expect(await site.run(["cancel", "zz", "nobody"])).toEqual({ status: 66, stdout: "", stderr: missed });
  });

  test("counts jobs, not agents, of those that it could not end", async () => {
    await pulling();
    const { status, stderr } = await site.run(["cancel", "000000000001", "01a20aac-0000-7785-b91f-da066d157a40"]);
    expect([status, stderr]).toEqual([1, "1 of 2 jobs failed\n"]);
  });

  test("takes no beginning that several jobs have for the one that is under way", async () => {
    const agent = await pulling();
    const idOf = (n: number): string => `01a20aac-0000-7785-b91f-00000000001${n}`;
    const ended = Array.from({ length: 7 }, (_, n) => ({ ...job, state: "succeeded" as const, id: idOf(n) }));
    agent.jobs = [...agent.jobs, ...ended];
    await agent.publish();
    const { status, stderr } = await site.run(["cancel", "01a20aac"]);
    expect([status, stderr]).toEqual([
      73,
      expect.stringMatching(/begins with 01a20aac\n {2}Use more of the id: (\S+, ){4}\S+ and \d more\n$/),
    ]);
  });

  test("fails when the end fits several jobs, or none", async () => {
    const agent = await pulling();
    agent.jobs = agent.jobs.map((each) => ({ ...each, state: "running" }));
    await agent.publish();
    expect(await site.run(["cancel", "da066d157a40"])).toMatchObject({
      status: 73,
      stderr:
        "error: Several jobs have an id that ends with da066d157a40\n" +
        "  Use more of the id: 01a20aac-0000-7785-b91f-da066d157a40, 01a20aac-24d0-7785-b91f-da066d157a40\n",
    });
    expect((await site.run(["cancel", "a40"])).status).toBe(66);
    expect((await site.run(["cancel", "nobody"])).status).toBe(66);
    expect((await site.run(["cancel"])).status).toBe(64);
    expect(agent.commands.every(({ command }) => command === "list_jobs")).toBe(true);
  });
});
