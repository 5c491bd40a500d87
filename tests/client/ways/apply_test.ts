// gpuctl plan and apply, over both ways.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newPull } from "#src/protocol.ts";
import { answerAsAgent, modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { until } from "#tests/support/until.ts";
import { TwoWays, WAYS } from "./two_ways.ts";

let site: TwoWays;
beforeEach(async () => {
  site = await TwoWays.open();
});
afterEach(async () => {
  await site[Symbol.asyncDispose]();
});

async function fleetFile(...lines: readonly string[]): Promise<string> {
  const path = join(site.dir, "fleet.yaml");
  await writeFile(path, lines.join("\n"));
  return path;
}

/** Its pulls end at once: with the model, or without it. */
async function box(name: string, models: readonly string[], { fails = false } = {}): Promise<ScriptedAgent> {
  const agent = await site.agent(name, { models: models.map((model) => modelOf(model, { size: 2e9 })) });
  agent.answer = (command, of) => {
    const answer = answerAsAgent(command, of);
    if (command.command !== "pull_model") return answer;
    const end = fails
      ? ({ state: "failed", code: "not_found", error: "No such model" } as const)
      : { state: "succeeded" as const };
    of.jobs = of.jobs.map((job) => ({ ...job, ...end, ended_at: of.now() }));
    if (!fails) of.models = [...of.models, modelOf(command.model_name ?? "", { size: 2e9 })];
    return answer;
  };
  return agent;
}

function sent({ commands }: ScriptedAgent): string[] {
  return commands
    .filter(({ command }) => command === "pull_model" || command === "delete_model")
    .map(({ command, model_name }) => `${command} ${model_name}`);
}

describe.each([...WAYS])("over the %s", (way) => {
  test("plan shows the differences and exits with 2, apply makes them, and plan exits with 0", async () => {
    const agents = [await box("gpu-1", ["phi4:latest", "old:1b"]), await box("gpu-2", ["phi4:latest"])];
    const file = await fleetFile(
      "models:",
      "  - name: phi4",
      "    on: all",
      "  - name: gemma3:12b",
      "    on: gpu-1",
      "prune: true",
    );
    const planned = await site.run(way, ["plan", file]);
    expect(planned.status).toBe(2);
    expect(planned.stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ["AGENT", "PLAN", "MODELS"],
      ["gpu-1", "unchanged", "1"],
      ["gpu-1", "pull", "gemma3:12b"],
      ["gpu-1", "delete", "old:1b"],
      [""],
    ]);
    expect(planned.stderr).toContain("1 of 2 boxes has what the file names");
    const asked = await site.run(way, ["apply", file], { terminal: true, answer: "n" });
    expect(asked).toMatchObject({ status: 130, stderr: expect.stringContaining("Pull 1, delete 1 on 1 box, ") });
    expect(agents.flatMap(sent)).toEqual([]);

    const applied = await site.run(way, ["apply", file, "--yes"]);
    expect(applied.status).toBe(0);
    expect(agents.map(sent)).toEqual([["pull_model gemma3:12b", "delete_model old:1b"], []]);
    for (const agent of agents) await site.publish(agent);
    expect(await site.run(way, ["plan", file])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining("Nothing to do"),
    });
    expect((await site.run(way, ["apply", file, "--yes"])).status).toBe(0);
    expect(agents.map((agent) => sent(agent).length)).toEqual([2, 0]);
  });

  test("plan and apply look only at the boxes that the command line names", async () => {
    const agents = [await box("gpu-1", []), await box("gpu-2", [])];
    const file = await fleetFile("models:", "  - name: phi4", "    on: all");
    expect((await site.run(way, ["plan", file, "--agent", "gpu-2"])).stdout).not.toContain("gpu-1");
    expect((await site.run(way, ["apply", file, "--agent", "gpu-2", "--yes"])).status).toBe(0);
    expect(agents.map(sent)).toEqual([[], ["pull_model phi4:latest"]]);
  });

  test("plan and apply do not take a mistyped box for one with nothing to do", async () => {
    await box("gpu-1", []);
    const file = await fleetFile("models:", "  - name: phi4", "    on: [gpu-1, gpu-9]");
    for (const names of ["gpu-2", "gpu-1,gpu-2"]) {
      const planned = await site.run(way, ["plan", file, "--agent", names]);
      expect([planned.status, planned.stderr]).toEqual([1, expect.stringContaining('Unknown agent "gpu-2"')]);
      const applied = await site.run(way, ["apply", file, "--agent", names, "--yes"]);
      expect([applied.status, applied.stderr]).toEqual([66, expect.stringContaining('Unknown agent "gpu-2"')]);
    }
    // The file names it, so that the plan has a row for it.
    expect((await site.run(way, ["plan", file, "--agent", "gpu-9"])).stdout).toContain("no such agent is known");
  });

  test("plan counts models of unknown size, and shows no bytes where nothing is known", async () => {
    await box("gpu-1", []);
    const one = await fleetFile("models:", "  - name: phi4", "    on: all");
    expect((await site.run(way, ["plan", one])).stderr).toBe("1 model of unknown size to fetch\n");
    const asked = await site.run(way, ["apply", one], { terminal: true, answer: "n" });
    expect(asked.stderr).toContain("Pull 1 on 1 box, 1 model of unknown size to fetch? [y/N] ");
  });

  test("apply follows a pull that a box does already, and asks for no other", async () => {
    const agent = await box("gpu-1", []);
    agent.jobs = [{ ...newPull("job-1", "gpu-1", "phi4:latest"), state: "running" }];
    await site.publish(agent);
    const file = await fleetFile("models:", "  - name: phi4", "    on: all");
    const run = await site.start(way, ["apply", file, "--yes"]);
    await until(() => run.stderr.text.includes("running") || run.stdout.text.includes("running"));
    agent.models = [modelOf("phi4:latest")];
    agent.jobs = agent.jobs.map((job) => ({ ...job, state: "succeeded" as const, ended_at: agent.now() }));
    await site.publish(agent);
    expect(await run.status).toBe(0);
    expect(sent(agent)).toEqual([]);
  });

  test("plan leaves a model that its box protects, and is then done", async () => {
    const agent = await box("gpu-1", ["phi4:latest", "keep:1b"]);
    await site.publish(agent, { protected: ["keep:*"] });
    const file = await fleetFile("models:", "  - name: phi4", "    on: all", "prune: true");
    expect((await site.run(way, ["plan", file])).status).toBe(0);
    await site.publish(agent);
    expect((await site.run(way, ["plan", file])).status).toBe(2);
  });

  test("apply deletes nothing on a box where a pull failed", async () => {
    const agents = [await box("gpu-1", ["old:1b"], { fails: true }), await box("gpu-2", ["old:1b"])];
    const file = await fleetFile("models:", "  - name: phi4", "    on: all", "prune: true");
    expect((await site.run(way, ["apply", file, "--yes"])).status).toBe(1);
    expect(agents.map(sent)).toEqual([["pull_model phi4:latest"], ["pull_model phi4:latest", "delete_model old:1b"]]);
  });

  test("plan takes a box that is away for unknown, and exits with 0", async () => {
    const agent = await box("gpu-1", []);
    await box("gpu-2", ["phi4:latest"]);
    await site.publish(agent, { status: "stopped" });
    const file = await fleetFile("models:", "  - name: phi4", "    on: all", "prune: true");
    const { status, stdout } = await site.run(way, ["plan", file]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/gpu-1 +unknown +stopped/);
  });

  test("plan exits with 1 for a mistake, with its line, before it looks at the fleet", async () => {
    const file = await fleetFile("models:", "  - name: phi4", "    at: all");
    const { status, stderr } = await site.run(way, ["plan", file]);
    expect(status).toBe(1);
    expect(stderr).toBe(`error: ${file}:3: Unknown key "at"\n  Known keys: name, on, digest\n`);
    expect((await site.run(way, ["plan", join(site.dir, "missing")])).status).toBe(1);
    expect((await site.run(way, ["apply", file])).status).toBe(64);
  });

  test("plan --json has each box with its steps", async () => {
    await box("gpu-1", ["phi4:latest"]);
    const file = await fleetFile("models:", "  - name: phi4", "    on: gpu-1", "  - name: b", "    on: gpu-1");
    const { stdout } = await site.run(way, ["plan", file, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      differences: 1,
      boxes: [
        {
          agent: "gpu-1",
          unknown: null,
          steps: [
            { action: "unchanged", model: "phi4:latest", size: 2e9 },
            { action: "pull", model: "b:latest", size: null },
          ],
          fetch_bytes: 0,
          free_bytes: 4e9,
          fits: null,
        },
      ],
    });
  });
});
