// gpuctl as a process on a terminal device of the system: sizes, signals, and how it leaves the terminal.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { openTransport } from "#src/transport/open.ts";
import { jobOf } from "#tests/support/sites/client_run.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { until } from "#tests/support/until.ts";
import { Emulator } from "../../client/terminal/emulator.ts";

const CLIENT = join(import.meta.dir, "../../../src/client.ts");

let share = "";
let agents: ScriptedAgent[] = [];
let children: { kill(): void }[] = [];
beforeEach(() => {
  share = mkdtempSync(join(tmpdir(), "gpu-courier-terminal-"));
  agents = [];
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill();
  for (const agent of agents) await agent.close();
  rmSync(share, { recursive: true });
});

async function openAgents(count: number): Promise<void> {
  const open = () => openTransport(share, { create: "always", watch: "local", clock: systemClock, log: silentLog });
  for (let index = 1; index <= count; index++) agents.push(await ScriptedAgent.open({ open }, `gpu-${index}`));
}

/** Runs gpuctl; every byte that it writes reaches the terminal in memory. */
function start(argv: readonly string[], environment: Record<string, string> = {}) {
  const screen = new Emulator(80, 12, { endsLines: false });
  let bytes = "";
  let written = Promise.resolve();
  const child = Bun.spawn([process.execPath, CLIENT, "--share", share, ...argv], {
    cwd: share,
    env: { TERM: "xterm-256color", HOME: share, ...environment },
    terminal: {
      cols: 80,
      rows: 12,
      data: (_terminal, data) => {
        bytes += new TextDecoder().decode(data);
        const copy = data.slice();
        written = written.then(async () => await screen.write(copy));
      },
    },
  });
  children.push(child);
  const shows = async (condition: (lines: readonly string[]) => boolean): Promise<void> =>
    await until(() => condition(screen.screen));
  const resize = (columns: number, rows: number): void => {
    screen.resize(columns, rows);
    child.terminal?.resize(columns, rows);
  };
  const ended = async (): Promise<number> => {
    const status = await child.exited;
    await until(() => bytes.endsWith("\n") || bytes.endsWith("\u001b[?25h"));
    await written;
    return status;
  };
  return { child, screen, shows, resize, ended, bytes: () => bytes };
}

describe("jobs --follow", () => {
  beforeEach(async () => {
    await openAgents(1);
    for (const agent of agents) {
      agent.jobs = [jobOf({ state: "running", completed_bytes: 1e9, total_bytes: 10e9 })];
      await agent.publish();
    }
  });

  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  test.each([...signals.map((signal) => [signal]), ["SIGINT", "SIGINT"] as const])(
    "gives the terminal back after %s",
    async (...sent) => {
      const run = start(["jobs", "--follow"]);
      await run.shows((lines) => lines[1]?.includes("10 %") === true);
      expect(run.screen.isAlternate).toBe(true);
      for (const signal of sent) if (typeof signal === "string") run.child.kill(signal);
      expect(await run.ended()).toBe(130);
      expect([run.screen.isAlternate, run.bytes().split("\u001b[?25h").length]).toEqual([false, 2]);
      expect(run.screen.screen).toHaveLength(2);
      expect(run.screen.screen[1]).toContain("running  10 %");
    },
  );

  test("draws at the new size at once, without waiting for a change", async () => {
    const run = start(["jobs", "--follow"]);
    await run.shows((lines) => lines[0]?.startsWith("JOB ") === true);
    run.resize(40, 6);
    await run.shows((lines) => lines[0]?.startsWith("AGENT ") === true && lines.length === 2);
    run.child.kill("SIGINT");
    expect(await run.ended()).toBe(130);
  });

  test("has no escape codes where TERM is dumb, and no colors with NO_COLOR", async () => {
    const dumb = start(["jobs"], { TERM: "dumb" });
    expect([await dumb.ended(), dumb.bytes().includes("\u001b")]).toEqual([0, false]);
    const plain = start(["jobs"], { NO_COLOR: "1" });
    expect([await plain.ended(), plain.bytes().includes("\u001b")]).toEqual([0, false]);
    const colored = start(["jobs"]);
    expect([await colored.ended(), colored.bytes().includes("\u001b[36mrunning\u001b[39m")]).toEqual([0, true]);
  });
});

test("a pull is redrawn in its place through changes of size, and leaves the cursor as it was", async () => {
  await openAgents(3);
  const run = start(["pull", "phi4", "--all", "--yes"]);
  await until(() => agents.every(({ jobs }) => jobs.length === 1));
  const step = async (percent: number): Promise<void> => {
    for (const agent of agents) {
      const now = {
        state: "running",
        completed_bytes: percent * 1e8,
        total_bytes: 1e10,
        bytes_per_second: 5e7,
      } as const;
      agent.jobs = agent.jobs.map((job) => ({ ...job, ...now }));
      await agent.publish();
    }
    await run.shows((lines) => lines.length === 3 && lines.every((line) => line.includes(` ${percent} %`)));
  };
  await step(10);
  for (const [index, [columns, rows]] of (
    [
      [40, 12],
      [60, 9],
      [100, 20],
      [30, 12],
    ] as const
  ).entries()) {
    run.resize(columns, rows);
    await step(20 + index);
    expect([run.screen.screen.length, run.screen.history]).toEqual([3, []]);
  }
  run.child.kill("SIGINT");
  expect(await run.ended()).toBe(130);
  expect(run.bytes()).toContain("\u001b[?25h");
  expect(run.screen.screen[0]).toStartWith("gpu-1  running");
});

test("pulls of several models on several boxes are summed up in 10 rows of a terminal device", async () => {
  await openAgents(4);
  const run = start(["pull", "phi4", "mistral", "qwen3", "--agent", "gpu-[1-4]", "--yes"]);
  run.resize(80, 10);
  await until(() => agents.every(({ jobs }) => jobs.length === 3));
  for (const [index, agent] of agents.entries()) {
    const now = { state: "running", completed_bytes: (index + 1) * 1e9, total_bytes: 1e10 } as const;
    agent.jobs = agent.jobs.map((job) => ({ ...job, ...now }));
    await agent.publish();
  }
  await run.shows((lines) => lines.length === 9 && lines[0] === "0 of 12 done, 12 at 10 to 40 %");
  expect(run.screen.screen.slice(1).every((line) => /^gpu-\d  \S+ +running /.test(line))).toBe(true);
  for (const agent of agents) {
    agent.jobs = agent.jobs.map((job) => ({
      ...job,
      state: "succeeded",
      completed_bytes: 1e10,
      ended_at: agent.now(),
    }));
    await agent.publish();
  }
  expect(await run.ended()).toBe(0);
  expect(run.bytes()).toContain("12 of 12 done");
});

describe("the question before a change of several boxes", () => {
  test.each([
    ["y\r", 0, 2],
    ["n\r", 130, 0],
    ["\r", 130, 0],
    // Ctrl-C and Ctrl-D, as the terminal sends them.
    ["\u0003", 130, 0],
    ["\u0004", 130, 0],
  ])("answered with %j ends with status %p", async (answer, status, asked) => {
    await openAgents(2);
    for (const agent of agents) agent.models = [modelOf("phi4:latest")];
    for (const agent of agents) await agent.publish();
    const run = start(["cp", "phi4", "other", "--all"]);
    await run.shows(([line]) => line === "Copy phi4:latest to other:latest on 2 boxes? [y/N]");
    run.child.terminal?.write(answer);
    expect(await run.ended()).toBe(status);
    expect(agents.flatMap(({ commands }) => commands).length).toBe(asked);
  });
});
