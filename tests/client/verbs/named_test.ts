// Agents and jobs that are named by the arguments of a verb.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { JobsDocument } from "#src/documents/jobs.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import type { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
let agents: ScriptedAgent[];
beforeEach(async () => {
  site = new ClientSite();
  agents = [];
  for (const name of ["gpu-1", "gpu-2", "gpu-3"]) agents.push(await site.agent(name));
});
afterEach(async () => {
  delete process.env["GPU_COURIER_AGENT"];
  await site.close();
});

const namesIn = (text: string): string[] => [...new Set(text.match(/gpu-\d/g) ?? [])].toSorted();

describe("the arguments of agents, ping and doctor", () => {
  test.each(["agents", "ping", "doctor"])("of %s are agents, as --agent names them", async (verb) => {
    for (const [words, expected] of [
      ["gpu-1", ["gpu-1"]],
      ["gpu-1 gpu-3", ["gpu-1", "gpu-3"]],
      ["gpu-[2-3]", ["gpu-2", "gpu-3"]],
      ["", ["gpu-1", "gpu-2", "gpu-3"]],
    ] as const) {
      const { stdout } = await site.run([verb, ...words.split(" ").filter(Boolean)]);
      expect(namesIn(stdout)).toEqual([...expected]);
    }
  });

  test.each(["agents", "ping", "doctor", "forget"])(
    "of %s exclude --agent and --all, but win over a variable",
    async (verb) => {
      for (const flag of ["--agent=gpu-2", "--all"])
        expect(await site.run([verb, "gpu-1", flag])).toEqual({
          status: 64,
          stdout: "",
          stderr: `error: Agents as arguments and ${flag.split("=")[0]} exclude each other\n  Use one of them\n`,
        });
      process.env["GPU_COURIER_AGENT"] = "gpu-2";
      const { stdout } = await site.run([verb, "gpu-1"]);
      expect(namesIn(stdout)).not.toContain("gpu-2");
    },
  );
});

describe("the arguments of jobs", () => {
  const ID = "01a20aac-24d0-7785-b91f-00000000000";
  const [first, second, third] = [`${ID}1`, `${ID}2`, `${ID}3`] as const;

  beforeEach(async () => {
    const [one, two] = agents;
    if (one === undefined || two === undefined) throw new Error("No agents");
    const ended = { state: "succeeded", ended_at: site.ago(60) } as const;
    one.jobs = [jobOf({ id: first, ...ended }), jobOf({ id: second, model: "gemma3:270m", state: "running" })];
    two.jobs = [jobOf({ id: third, agent: "gpu-2", state: "running" })];
    await one.publish();
    await two.publish({
      refused: [
        {
          at: site.ago(60),
          command_id: "id-1",
          command: "pull_model",
          model: "evil.example/a/b:latest",
          code: "forbidden",
          error: "Not allowed",
        },
      ],
    });
  });

  async function idsOf(...argv: readonly string[]): Promise<(string | null)[]> {
    const { stdout } = await site.run(["jobs", ...argv, "--json"]);
    return JobsDocument.parse(JSON.parse(stdout)).jobs.map(({ id }) => id);
  }

  test("are models, whose pulls are listed on all agents or on those of --agent", async () => {
    expect(await idsOf("phi4")).toEqual([first, third]);
    expect(await idsOf("PHI4:latest", "--agent", "gpu-2")).toEqual([third]);
    expect(await idsOf("phi4", "--active")).toEqual([third]);
    const { status, stdout, stderr } = await site.run(["jobs", "phi4"], { terminal: true });
    expect([status, stderr, stdout.split("\n").map((line) => line.split(/ +/)[0])]).toEqual([
      0,
      "",
      ["JOB", "00000003", "00000001", ""],
    ]);
  });

  test("are ids, or parts of them, beside models", async () => {
    expect(await idsOf("000000000002", "phi4")).toEqual([first, second, third]);
    expect((await site.run(["jobs", "0002"])).stdout).toStartWith(`job        ${second}\n`);
  });

  test("are models of refused pulls", async () => {
    expect(await site.run(["jobs", "evil.example/a/b"])).toEqual({
      status: 0,
      stdout: "",
      stderr: "No such jobs\ngpu-2 refused pull_model evil.example/a/b:latest 1 minute ago: Not allowed\n",
    });
    expect((await site.run(["jobs", "phi4"])).stderr).toBe("");
  });

  test.each([
    ["nosuch", "gpuctl jobs lists the jobs"],
    ["gpu-1", "The jobs of agents: gpuctl jobs --agent 'gpu-1'"],
    ["gpu-[1-2]", "The jobs of agents: gpuctl jobs --agent 'gpu-[1-2]'"],
  ])("fail with 66 for %s, with a hint", async (word, hint) => {
    expect(await site.run(["jobs", "phi4", word])).toEqual({
      status: 66,
      stdout: "",
      stderr: `error: No job matches ${word}\n  ${hint}\n`,
    });
  });
});
