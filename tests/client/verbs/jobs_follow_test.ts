// gpuctl jobs --watch, and how a pull on many agents ends and is left.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Job } from "#src/protocol.ts";
import { WatchedRun } from "#tests/client/terminal/watched_run.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import type { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

const job = jobOf({ state: "running", completed_bytes: 1e9, total_bytes: 10e9 });
const old = jobOf({ id: "old-job", state: "succeeded", completed_bytes: 5, total_bytes: 5 });

async function pulling(): Promise<ScriptedAgent> {
  const agent = await site.agent("gpu-1");
  agent.jobs = [old, job];
  await agent.publish();
  return agent;
}

/** Starts it, lets it look once, and has `steps` of the running job happen. */
async function watch(argv: readonly string[], agent: ScriptedAgent, steps: readonly Partial<Job>[], terminal = false) {
  const run = site.start(["jobs", "--follow", ...argv], { terminal });
  await settle();
  for (const step of steps) {
    agent.jobs = [old, { ...job, ...step }];
    await agent.publish();
    await site.clock.advance(500);
  }
  run.stop();
  await site.clock.advance(100);
  return { status: await run.status, stdout: run.stdout.text, stderr: run.stderr.text };
}

describe("jobs --watch", () => {
  test("prints a line per change in a pipe, with the model, until Ctrl-C", async () => {
    const agent = await pulling();
    const { status, stdout, stderr } = await watch([], agent, [
      { completed_bytes: 1.1e9 },
      { completed_bytes: 3e9, note: "waiting 16 s after: registry cannot be reached" },
      { completed_bytes: 3e9, note: "waiting 15 s after: registry cannot be reached" },
      { state: "succeeded", completed_bytes: 10e9 },
    ]);
    expect([status, stderr]).toEqual([130, ""]);
    expect(stdout).toBe(
      [
        "gpu-1: phi4:latest running, 10 %, 1.0 GB of 10.0 GB",
        "gpu-1: phi4:latest running, 30 %, 3.0 GB of 10.0 GB, waiting 16 s after: registry cannot be reached",
        "gpu-1: phi4:latest succeeded, 10.0 GB",
        "",
      ].join("\n"),
    );
  });

  test("prints the end of a job that was chosen while it ran", async () => {
    const agent = await pulling();
    const { stdout } = await watch(["--active"], agent, [{}, { state: "succeeded", completed_bytes: 10e9 }]);
    expect(stdout.split("\n").slice(1)).toEqual(["gpu-1: phi4:latest succeeded, 10.0 GB", ""]);
  });

  test("prints a document per change as JSON", async () => {
    const agent = await pulling();
    const { stdout } = await watch(["--json"], agent, [
      {},
      { completed_bytes: 2e9 },
      { state: "failed", code: "exhausted" },
    ]);
    const jobs = stdout
      .trimEnd()
      .split("\n")
      .map((line) => Job.parse(JSON.parse(line)));
    expect(jobs.map(({ state, completed_bytes }) => [state, completed_bytes])).toEqual([
      ["running", 1e9],
      ["running", 2e9],
      ["failed", 1e9],
    ]);
  });

  test("draws the table again in its place on a terminal", async () => {
    const agent = await pulling();
    const { stdout } = await watch([], agent, [{ completed_bytes: 2e9 }, { completed_bytes: 2e9 }], true);
    const [, ...drawings] = stdout.split("\u001b[H");
    expect(drawings.map((drawing) => /running +(\d+ %)/.exec(drawing)?.[1])).toEqual(["10 %", "20 %"]);
  });

  test("counts down to the next attempt, by the clock of the box", async () => {
    const agent = await pulling();
    const behindMs = 3_600_000;
    const retry_at = new Date(site.clock.now() - behindMs + 60_000).toISOString();
    const waiting = {
      state: "queued",
      note: "retrying in 60 s: no route",
      waiting_for: "retrying: no route",
      retry_at,
    };
    agent.jobs = [Job.parse({ ...job, ...waiting })];
    await agent.publish({ clock_offset_ms: behindMs });
    const run = site.start(["jobs", "--follow"], { terminal: true });
    for (let look = 0; look < 5; look++) await site.clock.advance(500);
    run.stop();
    await site.clock.advance(100);
    expect(await run.status).toBe(130);
    const shown = run.stdout.text.match(/retrying +10 %, in \d+ s: no route/g) ?? [];
    expect([...new Set(shown)].slice(0, 2)).toEqual([
      "retrying  10 %, in 59 s: no route",
      "retrying  10 %, in 58 s: no route",
    ]);
  });

  test("shows below the table which agents are away, for as long as they are, and what it last saw", async () => {
    const agent = await pulling();
    const other = await site.agent("gpu-2");
    const run = new WatchedRun(site, ["jobs", "--watch"], { columns: 80, rows: 24 });
    await site.progress(agent, { completed_bytes: 2e9 });
    await other.publish({ status: "stopped" });
    for (const completed_bytes of [3e9, 4e9]) await site.progress(agent, { completed_bytes });
    expect(await run.screen()).toEqual([
      "JOB       AGENT  MODEL        STATE      PROGRESS",
      "6d157a40  gpu-1  phi4:latest  running    40 %",
      "old-job   gpu-1  phi4:latest  succeeded  4.0 GB",
      expect.stringMatching(/^gpu-2 is offline \(stopped .*\): its jobs are as last seen$/),
    ]);
    await agent.publish({ status: "stopped" });
    await site.clock.advance(500);
    expect((await run.screen()).slice(1)).toEqual([
      "6d157a40  gpu-1  phi4:latest  running    40 %",
      "old-job   gpu-1  phi4:latest  succeeded  4.0 GB",
      expect.stringMatching(/^No agent is online: gpu-1 stopped /),
    ]);
    await agent.publish();
    await other.publish();
    await site.clock.advance(500);
    expect(await run.screen()).toHaveLength(3);
    run.stop();
    await site.clock.advance(100);
    expect([await run.status, run.stderr.text]).toEqual([130, ""]);
  });

  test.each([48, 60, 80])(
    "keeps one table on a terminal of %p columns, also when it becomes narrower",
    async (columns) => {
      const agent = await pulling();
      const note = "waiting 16 s after: registry cannot be reached";
      const run = new WatchedRun(site, ["jobs", "--watch"], { columns, rows: 24 });
      for (const completed_bytes of [2e9, 3e9, 4e9]) await site.progress(agent, { completed_bytes, note });
      expect((await run.screen()).filter((line) => line.includes("AGENT"))).toHaveLength(1);
      await run.resize({ columns: columns - 8, rows: 20 });
      for (const completed_bytes of [5e9, 6e9]) await site.progress(agent, { completed_bytes, note });
      const lines = await run.screen();
      expect(lines).toHaveLength(3);
      expect(lines[0]).toContain("AGENT");
      expect(lines[1]).toContain("60 %");
      run.stop();
      await site.clock.advance(100);
      await run.status;
    },
  );

  test("shows as much as the terminal holds, on a screen of its own, and leaves only the last frame behind", async () => {
    const agent = await site.agent("gpu-1");
    agent.jobs = Array.from({ length: 40 }, (_, index) => ({ ...job, id: `job-${index}` }));
    await agent.publish();
    const run = new WatchedRun(site, ["jobs", "--watch"], { columns: 80, rows: 24 });
    for (let percent = 1; percent <= 10; percent++) await site.progress(agent, { completed_bytes: percent * 1e8 });
    const during = await run.screen();
    expect([run.terminal.isAlternate, during.length, during.at(-1)]).toEqual([true, 23, "and 19 more jobs"]);
    run.stop();
    await site.clock.advance(100);
    await run.status;
    expect([await run.screen(), run.terminal.isAlternate, run.terminal.history]).toEqual([during, false, []]);
  });

  test("leaves the screen of its own when it fails", async () => {
    const agent = await pulling();
    const run = new WatchedRun(site, ["jobs", "--watch", "--agent", "gpu-1"], { columns: 80, rows: 24 });
    await site.progress(agent, {});
    site.store.removeState("gpu-1");
    await site.clock.advance(1_000);
    expect([await run.status, run.stderr.text]).toEqual([66, expect.stringContaining('Unknown agent "gpu-1"')]);
    expect([(await run.screen()).length, run.terminal.isAlternate]).toEqual([3, false]);
  });

  test("prints lines on a terminal that cannot move its cursor", async () => {
    const agent = await pulling();
    const run = site.start(["jobs", "--follow"], { terminal: true, isDumb: true });
    await site.progress(agent, { completed_bytes: 3e9 });
    run.stop();
    await site.clock.advance(100);
    await run.status;
    expect(run.stdout.text).toContain("gpu-1: phi4:latest running, 30 %");
    expect(run.stdout.text).not.toContain("\u001b");
  });

  test("shows in a pipe how a job of a box that died was last seen, and the job again when the box is back", async () => {
    const agent = await pulling();
    agent.jobs = [{ ...job, bytes_per_second: 56e6, eta_seconds: 93 }];
    await agent.publish();
    await site.clock.advance(240_000);
    await site.agent("gpu-2");
    const run = site.start(["jobs", "--follow"]);
    await site.clock.advance(500);
    await site.progress(agent, { completed_bytes: 8e9 });
    run.stop();
    await site.clock.advance(100);
    await run.status;
    const [first, second] = run.stdout.text.split("\n");
    expect(first).toMatch(/^gpu-1: phi4:latest unknown, 10 %, .* when last seen 4 minutes ago$/);
    expect(second).toMatch(/^gpu-1: phi4:latest running, 80 %, .* 56\.0 MB\/s/);
  });

  test("says once that an agent is away, and goes on", async () => {
    const agent = await pulling();
    await (await site.agent("gpu-2")).publish({ status: "stopped" });
    const { stderr } = await watch([], agent, [{}, { completed_bytes: 5e9 }]);
    expect(stderr.match(/gpu-2 is offline/g)).toHaveLength(1);
  });

  test("--watch without a value is refused for other verbs", async () => {
    const { status, stderr } = await site.run(["list", "--watch"]);
    expect(status).toBe(64);
    expect(stderr).toContain("--watch needs a value here");
  });
});

describe("pull on several agents", () => {
  async function start(argv: readonly string[], names: readonly string[]) {
    const agents = await Promise.all(names.map(async (name) => await site.agent(name)));
    const run = site.start(["pull", "phi4", ...argv]);
    await site.clock.advance(300);
    return { agents, run };
  }

  test("ends with a table of what became of it on each", async () => {
    const { agents, run } = await start(["--all"], ["gpu-1", "gpu-2"]);
    const end = { state: "succeeded", completed_bytes: 9e9, total_bytes: 9e9 } as const;
    for (const agent of agents) await site.progress(agent, { ...end, started_at: site.ago(90), ended_at: site.ago(0) });
    expect(await run.status).toBe(0);
    expect(run.stdout.text).toEndWith(
      "AGENT  STATE      RESULT\ngpu-1  succeeded  9.0 GB in 1 min 30 s\ngpu-2  succeeded  9.0 GB in 1 min 30 s\n",
    );
  });

  test.each([
    ["--all when all go on", ["--all"], ["gpu-1", "gpu-2"], "gpuctl pull phi4:latest --all follows it again"],
    [
      "the agents that were named",
      ["--agent", "gpu-2,gpu-1"],
      ["gpu-1", "gpu-2", "gpu-3"],
      "gpuctl pull phi4:latest --agent gpu-2,gpu-1 follows it again",
    ],
    [
      "a range of them",
      ["--agent", "gpu-[1-7]"],
      Array.from({ length: 8 }, (_, index) => `gpu-${index + 1}`),
      "gpuctl pull phi4:latest --agent 'gpu-[1-7]' follows it again",
    ],
  ])("says at Ctrl-C how to come back: %s", async (_, argv, names, hint) => {
    const { run } = await start(argv, names);
    run.stop();
    await site.clock.advance(100);
    expect(await run.status).toBe(130);
    expect(run.stderr.text).toContain(hint);
    expect(run.stdout.text).not.toContain("RESULT");
  });

  test("names only those that go on when one has ended", async () => {
    const { agents, run } = await start(["--all"], ["gpu-1", "gpu-2"]);
    for (const agent of agents.slice(0, 1)) await site.progress(agent, { state: "failed", code: "exhausted" });
    run.stop();
    await site.clock.advance(100);
    expect(await run.status).toBe(130);
    expect(run.stderr.text).toContain("gpuctl pull phi4:latest --agent gpu-2 follows it again");
  });
});

test.each([
  ["01a20aac", "gpuctl wait 01a20aac follows to the end"],
  ["gpu-[1-3]", "Use --agent 'gpu-[1-3]'"],
  ["gpu-*", "Use --agent 'gpu-*'"],
])("jobs %s --follow is refused with the command line that was meant", async (word, hint) => {
  expect(await site.run(["jobs", word, "--follow"])).toEqual({
    status: 64,
    stdout: "",
    stderr: `error: --follow takes no job: it shows all jobs, or those of --agent\n  ${hint}\n`,
  });
});
