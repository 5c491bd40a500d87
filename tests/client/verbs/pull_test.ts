// gpuctl pull: in a pipe, on a terminal, as JSON, its exit statuses, and Ctrl-C.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Job } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import { modelOf, type ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const TOTAL = 9e9;

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

/** Starts a pull and waits until every agent has its job. */
async function startPull(argv: readonly string[], agents: readonly ScriptedAgent[], terminal = false) {
  const run = site.start(["pull", "phi4", ...argv], { terminal });
  await site.clock.advance(300);
  for (const agent of agents) expect(agent.jobs.length).toBe(1);
  return run;
}

function running(percent: number): Partial<Job> {
  const completed_bytes = (TOTAL * percent) / 100;
  const rest = { total_bytes: TOTAL, bytes_per_second: 50e6, eta_seconds: 90 };
  return { state: "running", started_at: site.ago(60), completed_bytes, ...rest };
}

function succeeded(): Partial<Job> {
  return { state: "succeeded", completed_bytes: TOTAL, total_bytes: TOTAL, ended_at: site.ago(0), eta_seconds: null };
}

function failed(): Partial<Job> {
  const error = 'Cannot pull "phi4:latest": 9.0 GB needed, 4.0 GB free';
  return { state: "failed", code: "exhausted", error, ended_at: site.ago(0) };
}

describe("pull --force, and pull --now", () => {
  test("ask the agent to ignore a disk that is too small, or its windows, only when given", async () => {
    const agent = await site.agent("gpu-1");
    for (const argv of [[], ["--force"], ["--now"], ["--force", "--now"]]) {
      const { stop, status } = await startPull(argv, [agent]);
      stop();
      await status;
      agent.jobs = [];
    }
    expect(agent.commands.map((command) => command.arguments)).toEqual([
      undefined,
      { force: true },
      { now: true },
      { force: true, now: true },
    ]);
  });
});

describe("pull in a pipe", () => {
  test("prints a line per state and per step of 10 %, and exits with 0 when all is there", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stdout, stderr } = await startPull([], [agent]);
    for (const percent of [1, 3, 12, 14, 30]) await site.progress(agent, running(percent));
    await site.progress(agent, { state: "verifying" });
    await site.progress(agent, succeeded());
    expect([await status, stderr.text]).toEqual([0, ""]);
    expect(stdout.text).toBe(
      [
        "gpu-1: queued",
        "gpu-1: running, 1 %, 90.0 MB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
        "gpu-1: running, 12 %, 1.1 GB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
        "gpu-1: running, 30 %, 2.7 GB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
        "gpu-1: verifying, 30 %, 2.7 GB of 9.0 GB",
        "gpu-1: succeeded, 9.0 GB in 1 min 1 s",
        "",
      ].join("\n"),
    );
  });

  test("prints what a slow pull does every 5 s, and nothing while it does nothing", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stdout } = await startPull([], [agent]);
    await site.progress(agent, running(1));
    for (let step = 0; step < 24; step++) await site.progress(agent, running(1 + step / 100));
    const lines = stdout.text.split("\n").length;
    expect(lines).toBe(5);
    for (let step = 0; step < 40; step++) await site.progress(agent, {});
    expect(stdout.text.split("\n").length).toBe(lines);
    await site.progress(agent, succeeded());
    expect(await status).toBe(0);
  });

  test("joins the names of several agents with what each does", async () => {
    const agents = [await site.agent("gpu-1"), await site.agent("gpu-2")] as const;
    const { status, stdout, stderr } = await startPull(["--all"], agents);
    await site.progress(agents[0], succeeded());
    await site.progress(agents[1], failed());
    expect(await status).toBe(1);
    expect(stdout.text).toContain("gpu-1: succeeded, 9.0 GB\n");
    expect(stdout.text).toContain("gpu-2: failed\n");
    expect(stderr.text).toBe(
      'error: gpu-2 says: Cannot pull "phi4:latest": 9.0 GB needed, 4.0 GB free\n1 of 2 agents failed\n',
    );
  });
});

test("pull in a pipe prints what many agents do alike in one line, and the names of few", async () => {
  const agents: ScriptedAgent[] = [];
  for (let index = 1; index <= 6; index++) agents.push(await site.agent(`gpu-${index}`));
  const { status, stdout } = await startPull(["--all"], agents);
  for (const [index, agent] of agents.entries()) {
    agent.jobs = agent.jobs.map((job) => ({
      ...job,
      ...(index < 2 ? running(10) : index < 5 ? running(50) : failed()),
    }));
    await agent.publish();
  }
  await site.clock.advance(1_000);
  for (const agent of agents.slice(0, 5)) agent.jobs = agent.jobs.map((job) => ({ ...job, ...succeeded() }));
  for (const agent of agents) await agent.publish();
  await site.clock.advance(1_000);
  expect(await status).toBe(1);
  expect(stdout.text.split("AGENT")[0]?.trimEnd().split("\n")).toEqual([
    "gpu-[1-6]: queued",
    "gpu-1: running, 10 %, 900.0 MB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
    "gpu-2: running, 10 %, 900.0 MB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
    "gpu-3: running, 50 %, 4.5 GB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
    "gpu-4: running, 50 %, 4.5 GB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
    "gpu-5: running, 50 %, 4.5 GB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
    "gpu-6: failed",
    expect.stringMatching(/^gpu-\[1-5\]: succeeded, 9\.0 GB in /),
  ]);
});

describe("pull exits", () => {
  test("by the job's code when the only agent's pull failed", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stderr } = await startPull([], [agent]);
    await site.progress(agent, failed());
    expect(await status).toBe(75);
    expect(stderr.text).toBe('error: gpu-1 says: Cannot pull "phi4:latest": 9.0 GB needed, 4.0 GB free\n');
  });

  test("by the code of a refusal, whose words it shows as the agent's", async () => {
    const hint = "Remove a model";
    await site.agent("gpu-1", { answer: () => ({ success: false, code: "exhausted", error: "Disk full", hint }) });
    const { status, stdout, stderr } = await site.run(["pull", "phi4"]);
    expect([status, stdout, stderr]).toEqual([
      75,
      "gpu-1: failed\n",
      "error: gpu-1 says: Disk full\n  gpu-1 says: Remove a model\n",
    ]);
  });

  test("with 0 at once when the job has ended already", async () => {
    const ended = (agent: string, id: string): Job =>
      jobOf({ id, agent, state: "succeeded", completed_bytes: 5, total_bytes: 5 });
    await site.agent("gpu-1", { answer: ({ command_id }, { name }) => ({ job: ended(name, command_id) }) });
    expect(await site.run(["pull", "phi4"])).toEqual({ status: 0, stdout: "gpu-1: succeeded, 5 B\n", stderr: "" });
  });

  test("with 130 when somebody else cancelled the job", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stderr } = await startPull([], [agent]);
    await site.progress(agent, { state: "cancelled", code: "cancelled", ended_at: site.ago(0) });
    expect([await status, stderr.text]).toEqual([130, "error: The pull is cancelled\n"]);
  });

  test("with 73 when several agents are there and none is named", async () => {
    const agents = [await site.agent("gpu-1"), await site.agent("gpu-2")];
    expect((await site.run(["pull", "phi4"])).status).toBe(73);
    expect(agents.flatMap(({ commands }) => commands)).toEqual([]);
  });

  test("with 69 at a legacy service, which started it and cannot be followed", async () => {
    await site.legacyService({ success: true, message: "Started pulling model phi4:latest" });
    const { status, stdout, stderr } = await site.run(["pull", "phi4"]);
    expect([status, stdout]).toEqual([69, "gpu: running\n"]);
    expect(stderr).toBe(
      "error: A legacy service started this pull: its progress is unknown\n  Check whether it was pulled: gpuctl list --agent gpu\n",
    );
    const json = await site.run(["pull", "phi4", "--json"]);
    expect([json.status, json.stderr]).toEqual([69, ""]);
    expect(JSON.parse(json.stdout)).toMatchObject({ id: null, state: "running", code: "unimplemented", agent: "gpu" });
  });
});

test("pull exits with 75 after --max-wait: an agent whose Ollama is down would keep it for hours", async () => {
  await site.agent("gpu-1");
  const run = site.start(["pull", "phi4", "--max-wait", "3"]);
  await settle();
  for (let seconds = 0; seconds < 3; seconds++) await site.clock.advance(1000);
  expect([await run.status, run.stderr.text]).toEqual([
    75,
    expect.stringContaining(
      "error: Not done within 3 s: phi4:latest on gpu-1\n  The pulls continue: gpuctl jobs shows their progress\n",
    ),
  ]);
  expect((await site.run(["pull", "phi4", "--detach", "--max-wait", "3"])).status).toBe(64);
});

describe("pull --json", () => {
  test("prints one job per line as it changes, the last one of each agent final", async () => {
    const agents = [await site.agent("gpu-1"), await site.agent("gpu-2", { answer: refuse })] as const;
    const { status, stdout, stderr } = await startPull(["--all", "--json"], [agents[0]]);
    await site.progress(agents[0], running(50));
    await site.progress(agents[0], {});
    await site.progress(agents[0], succeeded());
    expect([await status, stderr.text]).toEqual([1, ""]);
    const jobs = stdout.text
      .trimEnd()
      .split("\n")
      .map((line) => Job.parse(JSON.parse(line)));
    const statesOf = (agent: string) => jobs.filter((job) => job.agent === agent).map(({ state }) => state);
    expect(statesOf("gpu-1")).toEqual(["queued", "running", "succeeded"]);
    expect(statesOf("gpu-2")).toEqual(["failed"]);
  });

  function refuse() {
    return { success: false, code: "not_found", error: "No such model" } as const;
  }
});

describe("pull on a terminal", () => {
  test("draws one bar per agent and leaves the last of each", async () => {
    const agents = [await site.agent("gpu-1"), await site.agent("gpu-10")] as const;
    const { status, stdout } = await startPull(["--all"], agents, true);
    await site.progress(agents[0], succeeded());
    await site.progress(agents[1], { ...running(50), ...failed() });
    expect(await status).toBe(1);
    const drawn = Bun.stripANSI(stdout.text);
    expect(drawn).toContain(`gpu-1   succeeded  ${"█".repeat(30)}  100 %  9.0 GB\n`);
    expect(drawn).toContain(`gpu-10  failed     ${"█".repeat(15)}${"░".repeat(15)}   50 %  4.5 GB of 9.0 GB`);
    // The cursor is shown again.
    expect(stdout.text).toEndWith("\u001b[?25h");
  });

  test("prints lines on one that cannot move its cursor", async () => {
    const agent = await site.agent("gpu-1");
    const run = site.start(["pull", "phi4"], { terminal: true, isDumb: true });
    await site.clock.advance(300);
    await site.progress(agent, succeeded());
    expect([await run.status, run.stdout.text]).toEqual([0, "gpu-1: queued\ngpu-1: succeeded, 9.0 GB\n"]);
  });
});

describe("pull in a pipe, of a pull that waits", () => {
  test("shows speed and time left rather than a note while it moves", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stdout } = await startPull([], [agent]);
    await site.progress(agent, { ...running(50), note: "its size is unknown beforehand" });
    await site.progress(agent, succeeded());
    expect(await status).toBe(0);
    expect(stdout.text).toContain("50.0 MB/s, 1 min 30 s left\n");
    expect(stdout.text).not.toContain("beforehand");
  });
});

describe("Ctrl-C during a pull", () => {
  test("detaches with 130 and shows how to follow again", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stop, stderr } = await startPull([], [agent]);
    await site.progress(agent, running(10));
    stop();
    await site.clock.advance(100);
    expect(await status).toBe(130);
    expect(stderr.text).toBe(
      "Detached: gpu-1 continues to pull phi4:latest\n" +
        "  gpuctl jobs shows its progress, gpuctl pull phi4:latest follows it again\n",
    );
    expect(agent.commands.map(({ command }) => command)).toEqual(["pull_model"]);
    expect([...site.store.replies.keys()]).toEqual(["shared"]);
  });

  test("is an error document under --json", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stop, stderr } = await startPull(["--json"], [agent]);
    stop();
    await site.clock.advance(100);
    expect(await status).toBe(130);
    expect(JSON.parse(stderr.text)).toMatchObject({ error: { code: "cancelled" } });
  });

  test("separates the pulls that continue from those that failed", async () => {
    const agents = [await site.agent("gpu-1"), await site.agent("gpu-2")] as const;
    const { status, stop, stderr } = await startPull(["--all"], agents);
    await site.progress(agents[0], failed());
    stop();
    await site.clock.advance(100);
    expect(await status).toBe(130);
    expect(stderr.text).toContain("error: gpu-1 says: Cannot pull");
    expect(stderr.text).toContain("Detached: gpu-2 continues to pull");
  });

  test("takes the command back when no agent has answered yet", async () => {
    await site.agent("gpu-1", { answer: () => undefined });
    const { status, stop, stderr } = await startPull([], []);
    stop();
    await site.clock.advance(100);
    expect(await status).toBe(130);
    expect(stderr.text).toStartWith("error: Interrupted");
    expect(site.store.inboxes.get("agent gpu-1")?.size).toBe(0);
  });
});

describe("pull when the agent goes not reporting", () => {
  test("waits for it and goes on", async () => {
    const agent = await site.agent("gpu-1");
    const { status, stdout } = await startPull([], [agent]);
    await site.progress(agent, running(10));
    await agent.publish({ status: "stopped" });
    await site.clock.advance(3_000);
    await site.progress(agent, running(11));
    const lines = stdout.text.split("\n");
    expect(lines.slice(2)).toEqual([
      expect.stringContaining("gpu-1: not reporting, stopped"),
      "gpu-1: running, 11 %, 990.0 MB of 9.0 GB, 50.0 MB/s, 1 min 30 s left",
      "",
    ]);
    await site.progress(agent, succeeded());
    expect(await status).toBe(0);
  });

  test("waits as long each time that it is away", async () => {
    const agent = await site.agent("gpu-1");
    const { status } = await startPull(["--timeout", "10"], [agent]);
    for (const percent of [10, 20, 30]) {
      await site.progress(agent, running(percent));
      await agent.publish({ status: "stopped" });
      await site.clock.advance(6_000);
    }
    await site.progress(agent, succeeded());
    await site.clock.advance(1_000);
    expect(await status).toBe(0);
  });

  test("gives up with 69 after --timeout, and shows the job's last state", async () => {
    const agent = await site.agent("gpu-1", { models: [modelOf("llama3.2:1b")] });
    const { status, stdout, stderr } = await startPull(["--timeout", "10", "--json"], [agent]);
    await site.progress(agent, running(10));
    await site.clock.advance(35_000);
    expect([await status, stderr.text]).toEqual([69, ""]);
    const last = Job.parse(JSON.parse(stdout.text.trimEnd().split("\n").at(-1) ?? ""));
    expect(last).toMatchObject({ state: "running", code: "unavailable" });
    expect(last.error).toStartWith("gpu-1 has been silent for");
  });
});
