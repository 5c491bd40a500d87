// Changes of several boxes: the question before them, --yes, --dry-run, and variables that no longer count.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { PlannedDocument } from "#src/documents/planned.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import { modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  for (const name of Object.keys(process.env)) if (name.startsWith("GPU_COURIER_")) delete process.env[name];
  await site.close();
});

/** Two boxes with phi4 and a third without. */
async function fleet(): Promise<ScriptedAgent[]> {
  const models = [modelOf("phi4:latest")];
  return [
    await site.agent("gpu-1", { models }),
    await site.agent("gpu-2", { models }),
    await site.agent("gpu-3", { models: [] }),
  ];
}

const sentTo = (agents: readonly ScriptedAgent[]): (string | undefined)[] =>
  agents.flatMap(({ commands }) => commands.map(({ command }) => command));

describe("the question before a change of several boxes", () => {
  test.each([
    ["rm phi4 --all", "Delete phi4:latest from 3 boxes (18.1 GB on 2 of them)? [y/N] "],
    ["rm a b c d --agent gpu-1", "Delete 4 models from gpu-1? [y/N] "],
    ["pull phi4 --all", "Pull phi4:latest on 3 boxes? [y/N] "],
    ["pull phi4 gemma3:270m --all --detach", "Pull phi4:latest and gemma3:270m on 3 boxes? [y/N] "],
    ["stop phi4 --all", "Unload phi4:latest on 3 boxes? [y/N] "],
    ["cp phi4 other --all", "Copy phi4:latest to other:latest on 3 boxes? [y/N] "],
    ["rm phi4 --agent gpu-1", ""],
  ])("of %s is %p, and nothing is changed without a yes", async (line, question) => {
    const agents = await fleet();
    if (question === "") return expect((await site.run(line.split(" "), { answer: "n" })).stderr).not.toContain("?");
    for (const answer of ["", "n", "no", null]) {
      const { status, stdout, stderr } = await site.run(line.split(" "), { answer });
      expect([status, stdout]).toEqual([130, ""]);
      expect(stderr).toBe(`${question}${answer}\nNothing was changed\n`);
    }
    expect(sentTo(agents)).toEqual([]);
  });

  test("is also asked where only one of the boxes shows the model, and leaves out those that are away", async () => {
    const agents = await fleet();
    const boxes = async (names: string): Promise<string> =>
      (await site.run(["rm", "phi4", "--agent", names], { answer: "n" })).stderr;
    expect(await boxes("gpu-1,gpu-3")).toContain("Delete phi4:latest from 2 boxes (9.1 GB on 1 of them)?");
    await agents[2]?.publish({ status: "stopped" });
    await agents[1]?.publish({ status: "stopped" });
    expect(await boxes("gpu-2,gpu-3")).not.toContain("?");
    expect(sentTo(agents)).toEqual([]);
  });

  test("lets the change go on after y or yes", async () => {
    const [first, second] = await fleet();
    expect((await site.run(["rm", "phi4", "--all"], { answer: "Yes" })).status).toBe(0);
    expect([first?.models, second?.models]).toEqual([[], []]);
  });

  test("counts several models that are deleted from one box", async () => {
    const agent = await site.agent("gpu-1", { models: [modelOf("phi4:latest"), modelOf("b:1"), modelOf("c:1")] });
    const { stderr } = await site.run(["rm", "phi4", "b:1"], { answer: "n" });
    expect(stderr).toStartWith("Delete phi4:latest and b:1 from gpu-1 (18.1 GB)? [y/N] ");
    expect(agent.commands).toEqual([]);
  });

  test("is not asked of a script, with --yes, or with --json", async () => {
    await fleet();
    for (const [argv, answer] of [
      [["stop", "phi4", "--all"], undefined],
      [["rm", "nosuch", "--all", "--yes"], "n"],
      [["rm", "phi4", "--all", "--json"], "n"],
    ] as const) {
      const { status, stderr } = await site.run(argv, answer === undefined ? {} : { answer });
      expect([status === 130, stderr.includes("?")]).toEqual([false, false]);
    }
  });

  test("names the pulls that would be canceled", async () => {
    const [first, second] = await fleet();
    for (const [agent, id] of [
      [first, "job-1"],
      [second, "job-2"],
    ] as const) {
      agent?.jobs.push(jobOf({ id, agent: agent.name, state: "running" }));
      await agent?.publish();
    }
    const { status, stderr } = await site.run(["cancel", "phi4", "--all"], { answer: "n" });
    expect([status, stderr]).toEqual([
      130,
      "Cancel the pull of phi4:latest on 2 boxes? [y/N] n\nNothing was changed\n",
    ]);
  });
});

describe("--dry-run", () => {
  test("shows what would be done on each box, and does nothing", async () => {
    const agents = await fleet();
    await agents[1]?.publish({ status: "stopped" });
    expect(await site.run(["rm", "phi4", "--all", "--dry-run"], { answer: "y" })).toEqual({
      status: 0,
      stdout: [
        "AGENT  DRY RUN",
        "gpu-1  would delete phi4:latest (9.1 GB)",
        "gpu-2  stopped just now",
        "gpu-3  phi4:latest is not installed",
        "",
      ].join("\n"),
      stderr: "Nothing was changed\n",
    });
    expect(sentTo(agents)).toEqual([]);
  });

  test("of pull and rm compares with what each box has, and with what it pulls", async () => {
    const agents = await fleet();
    for (const agent of agents.slice(1)) {
      agent.jobs = [jobOf({ id: `job-${agent.name}`, agent: agent.name, state: "running" })];
      await agent.publish();
    }
    const lines = async (verb: string) => (await site.run([verb, "phi4", "--all", "--dry-run"])).stdout.split("\n");
    expect(await lines("pull")).toEqual([
      "AGENT  DRY RUN",
      "gpu-1  already has phi4:latest (9.1 GB): would look for an update",
      "gpu-2  already pulls phi4:latest: would join that pull",
      "gpu-3  already pulls phi4:latest: would join that pull",
      "",
    ]);
    expect((await lines("rm")).slice(2, 4)).toEqual([
      "gpu-2  would cancel the pull of phi4:latest and delete it (9.1 GB)",
      "gpu-3  would cancel the pull of phi4:latest",
    ]);
    const { stdout } = await site.run(["pull", "phi4", "new", "--all", "--dry-run", "--json"]);
    const { changes } = PlannedDocument.parse(JSON.parse(stdout));
    expect(changes.map((change) => [change.agent, change.model, change.installed, change.pull_under_way])).toEqual([
      ["gpu-1", "phi4:latest", true, null],
      ["gpu-2", "phi4:latest", true, "job-gpu-2"],
      ["gpu-3", "phi4:latest", false, "job-gpu-3"],
      ...agents.map(({ name }) => [name, "new:latest", false, null]),
    ]);
    expect(sentTo(agents)).toEqual([]);
  });

  test.each([
    ["pull phi4", "pull", null],
    ["load phi4", "load", null],
    ["stop phi4", "unload", "phi4:latest is not loaded"],
    ["cp phi4 other", "copy", null],
    ["rm phi4", "delete", null],
    ["cancel job-1", "cancel", null],
  ] as const)("of %s is a document under --json", async (line, verb, skipped) => {
    const agent = await site.agent("gpu-1", { models: [modelOf("phi4:latest")] });
    agent.jobs = [jobOf({ id: "job-1", model: "phi4:latest", state: "running" })];
    await agent.publish();
    const { status, stdout } = await site.run([...line.split(" "), "--dry-run", "--json"]);
    const { changes } = PlannedDocument.parse(JSON.parse(stdout));
    expect([status, changes]).toEqual([
      0,
      [expect.objectContaining({ agent: "gpu-1", model: "phi4:latest", verb, skipped })],
    ]);
    expect(agent.commands).toEqual([]);
  });
});

describe("many boxes that are offline", () => {
  const NAMES = ["gpu-4", "gpu-5", "gpu-6", "gpu-7"];
  const NOTE = "4 agents not asked: gpu-[4-7] (gpuctl agents shows why)\n";

  test.each([
    ["rm phi4", "4 of 7 agents failed\n"],
    ["rm phi4 zz", "8 of 14 deletions failed\n"],
    ["stop phi4", "5 of 7 agents failed\n"],
    ["cp phi4 other", "5 of 7 agents failed\n"],
    ["ping", "4 of 7 agents failed\n"],
    [
      "pull phi4 --detach",
      "4 of 7 agents failed\ngpuctl wait phi4:latest waits for the end, gpuctl jobs shows the progress\n",
    ],
    ["rm phi4 --dry-run", "Nothing was changed\n"],
    ["pull phi4 --dry-run", "Nothing was changed\n"],
  ])("are one line of %s --all, and a few have a line each", async (line, after) => {
    await fleet();
    const away = await Promise.all(NAMES.map(async (name) => await site.agent(name)));
    for (const agent of away) await agent.publish({ status: "stopped" });
    const { stdout, stderr } = await site.run([...line.split(" "), "--all"]);
    expect(stderr).toBe(`${NOTE}${after}`);
    expect(stdout).not.toMatch(/gpu-[4-7]/);
    expect(stdout).toContain("gpu-3");
    for (const agent of away.slice(0, 2)) await agent.close();
    const few = await site.run([...line.split(" "), "--agent", "gpu-3,gpu-6,gpu-7"]);
    expect(few.stderr).not.toContain("not asked");
    expect(few.stdout + few.stderr).toMatch(/gpu-6.*stopped just now/);
  });

  test("are one line of cancel --all", async () => {
    await fleet();
    for (const name of NAMES) {
      const agent = await site.agent(name);
      agent.jobs = [jobOf({ id: `job-${name}`, agent: name, state: "running" })];
      await agent.publish({ status: "stopped" });
    }
    const { status, stderr } = await site.run(["cancel", "phi4", "--all"]);
    expect([status, stderr]).toEqual([1, `${NOTE}4 of 4 jobs failed\n`]);
  });
});

describe("a variable of --all or --force", () => {
  test.each([
    ["GPU_COURIER_ALL", "rm zz"],
    ["GPU_COURIER_ALL", "cancel zz"],
    ["GPU_COURIER_FORCE", "pull zz"],
  ])("%s stops %s before anything is sent", async (name, line) => {
    const agents = await fleet();
    process.env[name] = "1";
    const { status, stderr } = await site.run(line.split(" "));
    expect([status, stderr]).toEqual([
      64,
      expect.stringContaining(`error: ${name} no longer counts, and nothing was changed`),
    ]);
    expect(sentTo(agents)).toEqual([]);
  });

  test("does not matter to verbs that read, beside the flag, or when it is off", async () => {
    const agents = await fleet();
    process.env["GPU_COURIER_ALL"] = "1";
    expect((await site.run(["list"])).status).toBe(0);
    expect((await site.run(["rm", "phi4", "--all"])).status).toBe(0);
    process.env["GPU_COURIER_ALL"] = "0";
    expect((await site.run(["rm", "phi4"])).status).toBe(73);
    expect(sentTo(agents)).toEqual(["delete_model", "delete_model", "delete_model"]);
  });
});

describe("several models", () => {
  test("are unloaded, each with its own result", async () => {
    const agent = await site.agent("gpu-1", { models: [modelOf("phi4:latest"), modelOf("gemma3:270m")] });
    const { status, stdout } = await site.run(["stop", "phi4", "gemma3:270m", "zz"]);
    expect([status, stdout]).toEqual([
      1,
      [
        "AGENT  RESULT",
        "gpu-1  Unloaded phi4:latest",
        "gpu-1  Unloaded gemma3:270m",
        'gpu-1  failed: gpu-1 says: Model "zz:latest" is not on gpu-1',
        "",
      ].join("\n"),
    ]);
    const json = JSON.parse((await site.run(["stop", "phi4", "zz", "--json"])).stdout);
    expect(json.agents.map(({ model, code }: { model: string; code: string | null }) => [model, code])).toEqual([
      ["phi4:latest", null],
      ["zz:latest", "not_found"],
    ]);
    expect(agent.commands.length).toBe(5);
  });

  test("are shown one after another, and a missing one does not hide the others", async () => {
    await site.agent("gpu-1", { models: [modelOf("phi4:latest"), modelOf("gemma3:270m", { digest: "b" })] });
    const { status, stdout, stderr } = await site.run(["show", "zz", "phi4", "gemma3:270m", "--agent", "gpu-1"]);
    expect([status, stderr]).toEqual([1, 'error: gpu-1 says: Model "zz:latest" is not on gpu-1\n']);
    expect(stdout.match(/name +\S+/g)?.map((line) => line.split(/ +/)[1])).toEqual(["phi4:latest", "gemma3:270m"]);
  });

  test("list shows those that begin with a prefix, in text and JSON", async () => {
    await site.agent("gpu-1", { models: [modelOf("phi4:latest"), modelOf("gemma3:270m", { digest: "b" })] });
    const { stdout } = await site.run(["list", "PHI"]);
    expect(stdout.split("\n").map((line) => line.split(" ")[0])).toEqual(["NAME", "phi4:latest", ""]);
    expect(JSON.parse((await site.run(["list", "gem", "--json"])).stdout).models.length).toBe(1);
  });

  test("list fails with 66 when no model begins so, and names the agents that could not be read", async () => {
    await site.agent("gpu-1", { models: [modelOf("phi4:latest")] });
    await (await site.agent("gpu-2")).publish({ status: "stopped" });
    expect(await site.run(["list", "zz"])).toEqual({
      status: 66,
      stdout: "",
      stderr:
        "gpu-2 not included: stopped just now\n" +
        'error: No installed model begins with "zz"\n  gpuctl list shows all models\n',
    });
    const json = await site.run(["list", "zz", "--json"]);
    expect([json.status, json.stdout, JSON.parse(json.stderr).error.code]).toEqual([66, "", "not_found"]);
  });
});
