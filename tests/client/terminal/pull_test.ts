// gpuctl pull on a terminal: a line per agent, a summary where there are more agents than rows, narrow and resized ones.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Job } from "#src/protocol.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import type { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { type TerminalSize, WatchedRun } from "./watched_run.ts";

const TOTAL = 9e9;
const REFUSED =
  "Ollama at http://127.0.0.1:47011 says: pull model manifest: " +
  'Get "https://registry.ollama.ai/v2/library/phi4/manifests/latest": dial tcp 104.21.75.227:443: connect: connection refused';

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

async function startPull(count: number, size: TerminalSize, color = false) {
  const agents: ScriptedAgent[] = [];
  for (let index = 1; index <= count; index++) agents.push(await site.agent(`gpu-${index}`));
  const run = new WatchedRun(site, ["pull", "phi4", "--all"], size, color);
  await site.clock.advance(300);
  return { agents, run };
}

/** Each agent's job as it goes on, which gpuctl then sees. */
async function progress(agents: readonly ScriptedAgent[], change: (index: number) => Partial<Job>): Promise<void> {
  for (const [index, agent] of agents.entries()) {
    agent.jobs = agent.jobs.map((job) => ({ ...job, ...change(index) }));
    await agent.publish();
  }
  await site.clock.advance(500);
}

function running(percent: number): Partial<Job> {
  const completed_bytes = (TOTAL * percent) / 100;
  return { state: "running", completed_bytes, total_bytes: TOTAL, bytes_per_second: 50e6, eta_seconds: 90 };
}

const SUCCEEDED: Partial<Job> = { state: "succeeded", completed_bytes: TOTAL, total_bytes: TOTAL, ended_at: "2026" };
const FAILED: Partial<Job> = { state: "failed", code: "exhausted", error: "Disk full", ended_at: "2026" };

async function end({ agents, run }: Awaited<ReturnType<typeof startPull>>, change = SUCCEEDED): Promise<number> {
  await progress(agents, () => change);
  return await run.status;
}

describe("a pull that waits for its next attempt", () => {
  test("is shown as retrying, with host and reason on one line of 80 columns", async () => {
    const pull = await startPull(1, { columns: 80, rows: 24 });
    await progress(pull.agents, () => ({ state: "running", note: `retrying in 2 s: ${REFUSED}`, retries: 1 }));
    expect(await pull.run.screen()).toEqual([
      "gpu-1  retrying in 2 s  registry.ollama.ai: connection refused  (attempt 3)",
    ]);
    await progress(pull.agents, () => ({ state: "running", note: `retrying: ${REFUSED}`, retries: 2 }));
    expect(await pull.run.screen()).toEqual(["gpu-1  retrying  registry.ollama.ai: connection refused  (attempt 3)"]);
    expect(await end(pull)).toBe(0);
  });

  test("of an older agent does so, too", async () => {
    const pull = await startPull(1, { columns: 80, rows: 24 });
    await progress(pull.agents, () => ({ state: "running", note: `waiting 2 s after: ${REFUSED}` }));
    expect(await pull.run.screen()).toEqual([
      "gpu-1  retrying in 2 s  registry.ollama.ai: connection refused  (attempt 2)",
    ]);
    expect(await end(pull)).toBe(0);
  });

  test("counts down while the job does not change, and puts a long reason on a line of its own", async () => {
    const pull = await startPull(2, { columns: 60, rows: 24 });
    const retry_at = new Date(site.clock.now() + 55_000).toISOString();
    const waiting = { state: "queued", waiting_for: `retrying: ${REFUSED}`, retry_at, completed_bytes: 3e9 } as const;
    await progress(pull.agents, (index) => (index === 0 ? waiting : running(50)));
    const [first = "", second, third = ""] = await pull.run.screen();
    expect(first).toMatch(/^gpu-1 {2}retrying in 5\d s {2}3\.0 GB$/);
    expect(second).toBe("       registry.ollama.ai: connection refused  (attempt 2)");
    expect(third).toStartWith("gpu-2  running     50 %");
    const before = Number(/in (\d+) s/.exec(first)?.[1]);
    await site.clock.advance(10_000);
    expect(Number(/in (\d+) s/.exec((await pull.run.screen())[0] ?? "")?.[1])).toBe(before - 10);
    expect(await end(pull)).toBe(0);
  });

  test("has the number of its attempt also between the time of that and the report that it began", async () => {
    const pull = await startPull(1, { columns: 80, rows: 24 });
    const reason = "retrying: registry.ollama.ai: no such host";
    const waits = (retries: number, ms: number) => ({
      state: "queued" as const,
      note: "retrying in 4 s: registry.ollama.ai: no such host",
      waiting_for: reason,
      retry_at: new Date(site.clock.now() + ms).toISOString(),
      retries,
    });
    const attempts: (string | undefined)[] = [];
    for (const change of [
      waits(1, 4_000),
      waits(1, -1_000),
      { state: "running" as const, note: reason, waiting_for: null, retry_at: null, retries: 2 },
      waits(2, 8_000),
    ]) {
      await progress(pull.agents, () => change);
      attempts.push(/attempt (\d+)/.exec((await pull.run.screen())[0] ?? "")?.[1]);
    }
    expect(attempts).toEqual(["3", "3", "3", "4"]);
    expect(await end(pull)).toBe(0);
  });

  test("says until when it waits for its box's window, and what starts it, within 80 columns", async () => {
    const pull = await startPull(2, { columns: 80, rows: 24 });
    const retry_at = new Date(site.clock.now() + 32_000_000).toISOString();
    const waiting_for = "waits for its window until 2026-11-30 20:00 Europe/Berlin";
    await progress(pull.agents, (index) => (index === 0 ? { waiting_for, retry_at } : SUCCEEDED));
    expect(await pull.run.screen()).toEqual([
      "gpu-1  queued  for its window until 2026-11-30 20:00 Europe/Berlin (pull --now)",
      "gpu-2  succeeded  ██████████████████████████████  100 %  9.0 GB",
    ]);
    expect(await end(pull)).toBe(0);
  });

  test("names what it is queued behind", async () => {
    const pull = await startPull(1, { columns: 80, rows: 24 });
    await progress(pull.agents, () => ({ waiting_for: "queued behind llama3.2:1b" }));
    expect(await pull.run.screen()).toEqual(["gpu-1  queued  behind llama3.2:1b"]);
    expect(await end(pull)).toBe(0);
  });
});

describe("the lines of several agents", () => {
  test("have bars of one length, and the reasons do without", async () => {
    const pull = await startPull(3, { columns: 80, rows: 24 });
    const note = "waiting 16 s after: the registry cannot be reached";
    await progress(pull.agents, (index) =>
      index === 2 ? { ...running(50), bytes_per_second: null, note } : running(50 - index),
    );
    const [first = "", second = "", third] = await pull.run.screen();
    expect(first).toStartWith("gpu-1  running    ███");
    expect(first.indexOf("%")).toBe(second.indexOf("%"));
    expect(third).toStartWith("gpu-3  retrying in 16 s  50 %  4.5 GB of 9.0 GB");
    expect(await end(pull)).toBe(0);
  });

  test.each([
    [80, "gpu-1  running    ███████░░░░░░   50 %  4.5 GB of 9.0 GB  50.0 MB/s  1 min 30 s"],
    [60, "gpu-1  running     50 %  4.5 GB of 9.0 GB  50.0 MB/s"],
    [45, "gpu-1  running     50 %  4.5 GB of 9.0 GB"],
    [40, "gpu-1  running     50 %  50.0 MB/s"],
    [20, "gpu-1  running    …"],
  ])("fit a terminal of %p columns, the least important first to go", async (columns, line) => {
    const pull = await startPull(1, { columns, rows: 24 });
    await progress(pull.agents, () => running(50));
    const [only = "", ...more] = await pull.run.screen();
    expect(more).toEqual([]);
    expect(only.length).toBeLessThan(columns);
    expect(only).toBe(line);
    expect(await end(pull)).toBe(0);
  });

  test("have the colors of their states, if colors are welcome", async () => {
    const states = [SUCCEEDED, FAILED, running(50), { state: "running", note: "retrying: no route" } as const];
    for (const color of [true, false]) {
      const pull = await startPull(4, { columns: 80, rows: 24 }, color);
      await progress(pull.agents, (index) => states[index] ?? {});
      await pull.run.screen();
      const colors = ["succeeded", "failed", "running", "retrying"].map((word) => pull.run.terminal.colorOf(word));
      expect(colors).toEqual(color ? [2, 1, 6, 3] : [-1, -1, -1, -1]);
      await end(pull);
      await site.close();
      site = new ClientSite();
    }
  });
});

describe("more agents than rows", () => {
  const SIZE = { columns: 80, rows: 10 };
  const mixed = (index: number): Partial<Job> => {
    if (index < 9) return SUCCEEDED;
    return index === 14 ? FAILED : running(40 + 5 * (index - 9));
  };

  test("are a summary and the slowest few, redrawn in their place", async () => {
    const pull = await startPull(15, SIZE);
    for (let look = 0; look < 3; look++) await progress(pull.agents, (index) => running(index + look));
    await progress(pull.agents, mixed);
    const [summary, ...lines] = await pull.run.screen();
    expect(summary).toBe("9 of 15 done, 1 failed, 5 at 40 to 60 %");
    expect(lines).toHaveLength(8);
    // The slowest, in natural order, filled up with those that are done.
    expect(lines.slice(2).map((line) => line.split(/ {2,}/).slice(0, 2).join(" "))).toEqual([
      "gpu-10 running",
      "gpu-11 running",
      "gpu-12 running",
      "gpu-13 running",
      "gpu-14 running",
      "gpu-15 failed",
    ]);
    expect(pull.run.terminal.history).toEqual([]);
    await progress(pull.agents, (index) => (index < 14 ? SUCCEEDED : {}));
    expect(await pull.run.status).toBe(1);
  });

  test("shows those that wait, and the reason of one that never began, before those that are done", async () => {
    const pull = await startPull(15, { columns: 80, rows: 5 });
    const waiting = { state: "running", note: `retrying in 2 s: ${REFUSED}` } as const;
    await progress(pull.agents, (index) => (index === 12 ? waiting : index === 13 ? FAILED : SUCCEEDED));
    expect(await pull.run.screen()).toEqual([
      "13 of 15 done, 1 failed, 1 retrying",
      expect.stringMatching(/^gpu-1 +succeeded/),
      "gpu-13  retrying in 2 s  registry.ollama.ai: connection refused  (attempt 2)",
      "gpu-14  failed  Disk full",
    ]);
    await progress(pull.agents, (index) => (index === 12 ? SUCCEEDED : {}));
    expect(await pull.run.status).toBe(1);
  });

  test("shows those that run before any number of failures, which are one line", async () => {
    const pull = await startPull(15, SIZE);
    const waiting = { state: "running", note: `retrying in 2 s: ${REFUSED}` } as const;
    const seen = (index: number): Partial<Job> => (index < 4 ? FAILED : index < 9 ? waiting : running(10 + index));
    await progress(pull.agents, seen);
    const [summary, ...lines] = await pull.run.screen();
    expect(summary).toBe("0 of 15 done, 4 failed, 5 retrying, 6 at 19 to 24 %");
    expect(lines.map((line) => line.split(/ {2,}/).slice(0, 2).join(" "))).toEqual([
      "gpu-5 retrying in 2 s",
      ...[10, 11, 12, 13, 14, 15].map((number) => `gpu-${number} running`),
      "also 4 failed: gpu-[1-4]; 4 retrying: gpu-[6-9]",
    ]);
    await pull.run.resize({ columns: 80, rows: 3 });
    expect((await pull.run.screen()).slice(1).join()).toStartWith("gpu-10  running");
    await progress(pull.agents, (index) => (index < 4 ? {} : SUCCEEDED));
    expect(await pull.run.status).toBe(1);
  });

  test("end with a table of all results after one line", async () => {
    const pull = await startPull(15, SIZE);
    await progress(pull.agents, mixed);
    await progress(pull.agents, (index) => (index < 14 ? SUCCEEDED : {}));
    expect(await pull.run.status).toBe(1);
    const screen = await pull.run.screen();
    const all = [...pull.run.terminal.history, ...screen];
    expect(all.slice(0, 3)).toEqual([
      "14 of 15 done, 1 failed",
      "AGENT   STATE      RESULT",
      "gpu-1   succeeded  9.0 GB",
    ]);
    expect(all).toHaveLength(17);
  });

  test("leave the last picture behind at Ctrl-C", async () => {
    const pull = await startPull(15, SIZE);
    await progress(pull.agents, mixed);
    const before = await pull.run.screen();
    pull.run.stop();
    await site.clock.advance(100);
    expect(await pull.run.status).toBe(130);
    expect(await pull.run.screen()).toEqual(before);
    expect(pull.run.stderr.text).toContain("Detached: gpu-10, gpu-11, gpu-12, gpu-13, gpu-14 continue to pull");
  });

  test("become a line each when the terminal is made higher", async () => {
    const pull = await startPull(15, SIZE);
    await progress(pull.agents, mixed);
    await pull.run.resize({ columns: 80, rows: 24 });
    await site.clock.advance(500);
    const screen = await pull.run.screen();
    expect(screen).toHaveLength(15);
    expect(screen[0]).toStartWith("gpu-1   succeeded");
    await progress(pull.agents, (index) => (index < 14 ? SUCCEEDED : {}));
    expect(await pull.run.status).toBe(1);
  });
});

describe("several models on several agents", () => {
  const MODELS = ["phi4", "qwen2.5-coder:32b-instruct-q4_K_M", "mistral"];

  async function startPulls(rows: number) {
    const agents = [await site.agent("gpu-1"), await site.agent("gpu-2")];
    const argv = ["pull", ...MODELS, "--agent", "gpu-1", "--agent", "gpu-2", "--yes"];
    const run = new WatchedRun(site, argv, { columns: 80, rows });
    await site.clock.advance(300);
    return { agents, run };
  }

  /** Each job of each agent as it goes on. */
  async function progressOfEach(
    agents: readonly ScriptedAgent[],
    change: (agent: number, model: number) => Partial<Job>,
  ): Promise<void> {
    for (const [index, agent] of agents.entries()) {
      agent.jobs = agent.jobs.map((job, model) => ({ ...job, ...change(index, model) }));
      await agent.publish();
    }
    await site.clock.advance(500);
  }

  test("have a line for each pull, with the beginning and the tag of each name", async () => {
    const pull = await startPulls(10);
    await progressOfEach(pull.agents, (agent, model) => running(10 * (2 * model + agent + 1)));
    const lines = await pull.run.screen();
    expect(lines.map((line) => line.split(/ {2,}/).slice(0, 3).join(" | "))).toEqual([
      "gpu-1 | phi4:latest | running",
      "gpu-2 | phi4:latest | running",
      "gpu-1 | qwen2.5-cod…truct-q4_K_M | running",
      "gpu-2 | qwen2.5-cod…truct-q4_K_M | running",
      "gpu-1 | mistral:latest | running",
      "gpu-2 | mistral:latest | running",
    ]);
    expect(lines.map((line) => /(\d+) %/.exec(line)?.[1])).toEqual(["10", "20", "30", "40", "50", "60"]);
    expect(pull.run.terminal.history).toEqual([]);
    await progressOfEach(pull.agents, () => SUCCEEDED);
    expect(await pull.run.status).toBe(0);
    expect(await pull.run.screen()).toHaveLength(6);
  });

  test("are a summary of all pulls where there are more than rows, and a table in the end", async () => {
    const pull = await startPulls(5);
    const states = [SUCCEEDED, FAILED, running(40), running(60), running(50), SUCCEEDED];
    await progressOfEach(pull.agents, (agent, model) => states[2 * model + agent] ?? {});
    const [summary, ...lines] = await pull.run.screen();
    expect(summary).toBe("2 of 6 done, 1 failed, 3 at 40 to 60 %");
    expect(lines.map((line) => line.split(/ {2,}/).slice(0, 2).join(" | "))).toEqual([
      "gpu-1 | qwen2.5-cod…truct-q4_K_M",
      "gpu-2 | qwen2.5-cod…truct-q4_K_M",
      "gpu-1 | mistral:latest",
    ]);
    await progressOfEach(pull.agents, (agent, model) => (agent === 1 && model === 0 ? {} : SUCCEEDED));
    expect(await pull.run.status).toBe(1);
    const screen = await pull.run.screen();
    const all = [...pull.run.terminal.history, ...screen];
    expect(all.slice(0, 2)).toEqual([
      "5 of 6 done, 1 failed",
      "AGENT  MODEL                              STATE      RESULT",
    ]);
    expect(all).toHaveLength(8);
  });

  test("on one agent are named by their models", async () => {
    const agent = await site.agent("gpu-1");
    const run = new WatchedRun(site, ["pull", ...MODELS, "--yes"], { columns: 80, rows: 10 });
    await site.clock.advance(300);
    await progressOfEach([agent], () => running(50));
    expect((await run.screen()).map((line) => line.split(/ {2,}/)[0])).toEqual([
      "phi4:latest",
      "qwen2.5-coder:3…instruct-q4_K_M",
      "mistral:latest",
    ]);
    await progressOfEach([agent], () => SUCCEEDED);
    expect(await run.status).toBe(0);
  });
});

describe("resizing during a pull leaves one line for each agent:", () => {
  test.each([
    ["narrower", [{ columns: 40, rows: 24 }]],
    ["narrower than half", [{ columns: 25, rows: 24 }]],
    [
      "narrower and wider again",
      [
        { columns: 40, rows: 24 },
        { columns: 100, rows: 24 },
      ],
    ],
    ["step by step", [70, 60, 50, 40, 30].map((columns) => ({ columns, rows: 24 }))],
    ["lower", [{ columns: 80, rows: 8 }]],
  ])("%s", async (_, sizes) => {
    const pull = await startPull(3, { columns: 80, rows: 24 });
    await progress(pull.agents, () => running(20));
    let percent = 20;
    for (const size of sizes) {
      await pull.run.resize(size);
      percent += 5;
      const now = percent;
      await progress(pull.agents, () => running(now));
    }
    const screen = await pull.run.screen();
    expect(screen.map((line) => line.split(" ")[0])).toEqual(["gpu-1", "gpu-2", "gpu-3"]);
    for (const line of screen.filter(({ length }) => length > 24)) expect(line).toContain(`${percent} %`);
    expect(pull.run.terminal.history).toEqual([]);
    expect(await end(pull)).toBe(0);
  });
});
