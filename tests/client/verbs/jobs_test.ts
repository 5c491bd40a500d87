// gpuctl jobs: the list, what it shows of it, and one job.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { JobsDocument } from "#src/documents/jobs.ts";
import { Job } from "#src/protocol.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

describe("jobs", () => {
  const progress = { completed_bytes: 3.9e9, total_bytes: 9.1e9, bytes_per_second: 56e6, eta_seconds: 93 };
  const job = jobOf({ state: "running", ...progress });

  async function threeJobs(): Promise<void> {
    const agent = await site.agent("gpu-1");
    const ended = { ...job, state: "succeeded", completed_bytes: 2e9, ended_at: site.ago(3_600) } as const;
    const failed = { ...job, id: "01a20aac-0000-7785-b91f-000000000001", state: "failed", code: "not_found" } as const;
    agent.jobs = [
      { ...ended, id: "01a20aac-0000-7785-b91f-000000000002", started_at: site.ago(3_700) },
      {
        ...failed,
        completed_bytes: 0,
        total_bytes: null,
        ended_at: site.ago(60),
        error: "pull model manifest: no such file",
      },
      job,
    ];
    await agent.publish();
  }

  test("shows those under way first, then the last ended", async () => {
    await threeJobs();
    const { status, stdout, stderr } = await site.run(["jobs"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        "JOB                                   AGENT  MODEL        STATE      PROGRESS",
        "01a20aac-24d0-7785-b91f-da066d157a40  gpu-1  phi4:latest  running    42 %, 3.9 GB of 9.1 GB, 56.0 MB/s, 1 min 33 s left",
        "01a20aac-0000-7785-b91f-000000000001  gpu-1  phi4:latest  failed     ended 1 minute ago, pull model manifest: no such file",
        "01a20aac-0000-7785-b91f-000000000002  gpu-1  phi4:latest  succeeded  2.0 GB in 1 min 40 s, ended 1 hour ago",
        "",
      ].join("\n"),
    );
  });

  test("shows ages by the clock of the box that the times are from", async () => {
    const agent = await site.agent("gpu-1");
    const ended = { state: "succeeded", started_at: site.ago(7_320), ended_at: site.ago(7_200) } as const;
    agent.jobs = [jobOf(ended)];
    await agent.publish({ clock_offset_ms: 3_600_000 });
    expect((await site.run(["jobs"])).stdout).toContain(" in 2 min, ended 1 hour ago\n");
  });

  test("shortens ids on a terminal, to fit it", async () => {
    await threeJobs();
    const { stdout } = await site.run(["jobs"], { terminal: true });
    expect(stdout.split("\n")).toEqual([
      "JOB       AGENT  MODEL        STATE               PROGRESS",
      "6d157a40  gpu-1  phi4:latest  running             42 %, 56.0 MB/s, 1m33s left",
      "00000001  gpu-1  phi4:latest  failed (not_found)  1m ago: no such file",
      "00000002  gpu-1  phi4:latest  succeeded           2.0 GB, 1h ago",
      "",
    ]);
  });

  test("stays readable on a terminal after one very long name", async () => {
    await threeJobs();
    const agent = await site.agent("gpu-2");
    agent.jobs = [{ ...job, agent: "gpu-2", model: `hf.co/someone/${"long-".repeat(20)}name:Q4_K_M` }];
    await agent.publish();
    const { stdout } = await site.run(["jobs"], { terminal: true });
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(stdout.split("\n")).toHaveLength(6);
    expect(stdout).toMatch(/^6d157a40 {2}gpu-2 {2}long-\S*…\S*:Q4_K_M {2}running /m);
    const wide = await site.run(["jobs", "--wide"], { terminal: true });
    expect(wide.stdout).toContain(`  hf.co/someone/${"long-".repeat(20)}name:Q4_K_M  running  `);
  });

  test("keeps the ids, the names of models, and the code of a failure on 80 columns", async () => {
    const agent = await site.agent("gpu-1");
    const model = "127.0.0.1:47701/f/slow-model:latest";
    const error = `Cannot pull "${model}": the registry answers with status 500, again and again, for hours`;
    const failed = { state: "failed", code: "not_found", error, ended_at: site.ago(60) } as const;
    agent.jobs = [
      { ...job, model },
      { ...job, id: "01a20aac-0000-7785-b91f-000000000001", model, ...failed },
    ];
    await agent.publish();
    const lines = (await site.run(["jobs"], { terminal: true })).stdout.trimEnd().split("\n");
    for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
    expect(lines[1]).toMatch(/^6d157a40 {2}gpu-1 {2}…\S*\/slow-model {2}running +42 %, 56\.0 MB\/s, 1m33s left$/);
    expect(lines[2]).toMatch(/^00000001 {2}gpu-1 {2}…\S*\/slow-model {2}failed \(not_found\) {2}1m ago: /);
  });

  test("prints the document of /v1/jobs under --json, with the agents that are away", async () => {
    await site.agent("gpu-2");
    await site.clock.advance(60_000);
    await threeJobs();
    const { status, stdout } = await site.run(["jobs", "--json"]);
    const document = JobsDocument.parse(JSON.parse(stdout));
    expect([status, document.jobs.length]).toEqual([0, 3]);
    expect(document.unavailable).toEqual([{ agent: "gpu-2", code: "unavailable", reason: "silent for 1 min" }]);
  });

  describe("of a box that died with a pull under way", () => {
    beforeEach(async () => {
      const dead = await site.agent("gpu-1");
      dead.jobs = [job];
      await dead.publish();
      await site.clock.advance(240_000);
      const live = await site.agent("gpu-2");
      live.jobs = [
        jobOf({ id: "01a20aac-0000-7785-b91f-000000000001", agent: "gpu-2" }),
        { ...job, id: "01a20aac-0000-7785-b91f-000000000002", agent: "gpu-2", state: "failed", ended_at: site.ago(60) },
      ];
      await live.publish();
    });

    test("shows it as last seen, without a speed or time left, after the live ones", async () => {
      const { stdout, stderr } = await site.run(["jobs"], { terminal: true, color: true });
      expect(Bun.stripANSI(stdout).trimEnd().split("\n").slice(1)).toEqual([
        "00000001  gpu-2  phi4:latest  queued   -",
        "6d157a40  gpu-1  phi4:latest  unknown  42 % when last seen 4m ago",
        expect.stringMatching(/^00000002 {2}gpu-2 {2}phi4:latest {2}failed /),
      ]);
      expect(stdout).toContain("\u001b[33munknown\u001b[39m");
      expect(stderr).toBe("gpu-1 is offline (silent for 4 min): its jobs are as last seen\n");
      const piped = (await site.run(["jobs", "--state", "unknown"])).stdout.split("\n")[1];
      expect(piped).toMatch(/ running {2}42 %, 3\.9 GB of 9\.1 GB when last seen 4 minutes ago$/);
    });

    test("has the state of the protocol as JSON, and both with its id", async () => {
      const { jobs } = JobsDocument.parse(JSON.parse((await site.run(["jobs", "--json"])).stdout));
      expect(jobs.find(({ agent }) => agent === "gpu-1")).toEqual(job);
      const { stdout } = await site.run(["jobs", "da066d157a40"]);
      expect(stdout.split("\n").slice(3)).toEqual([
        "state      unknown (running)",
        "last seen  4 minutes ago",
        "progress   42 %, 3.9 GB",
        "size       9.1 GB",
        "to follow  gpuctl pull phi4:latest --agent gpu-1",
        `to cancel  gpuctl cancel ${job.id}`,
        "",
      ]);
    });

    test("counts many such boxes", async () => {
      const others = ["gpu-3", "gpu-4", "gpu-5"];
      for (const name of others) await site.agent(name);
      await site.clock.advance(60_000);
      await site.agent("gpu-6");
      const { stderr } = await site.run(["jobs"]);
      expect(stderr).toBe("5 agents are offline: their jobs are as last seen (gpu-[1-5])\n");
    });
  });

  test("reports an empty list and how to start a pull", async () => {
    await site.agent("gpu-1");
    expect(await site.run(["jobs"])).toEqual({
      status: 0,
      stdout: "",
      stderr: "No jobs\n  Start one: gpuctl pull phi4\n",
    });
  });

  test("fails with unavailable when no agent is there", async () => {
    expect((await site.run(["jobs"])).status).toBe(69);
    expect(JSON.parse((await site.run(["jobs", "--json"])).stderr)).toMatchObject({ error: { code: "unavailable" } });
  });

  test("fits a terminal of 40 columns", async () => {
    await threeJobs();
    const { stdout } = await site.run(["jobs"], { terminal: true, columns: 40 });
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(40);
    expect(stdout.split("\n")).toHaveLength(5);
  });

  test("shows those that wait for their next attempt as such, after those that run and before the queued", async () => {
    const agent = await site.agent("gpu-1");
    const retry_at = new Date(site.clock.now() + 32_000).toISOString();
    const id = (digit: number): string => `01a20aac-0000-7785-b91f-00000000000${digit}`;
    agent.jobs = [
      jobOf({ id: id(1), waiting_for: "queued behind phi4:latest" }),
      jobOf({ id: id(2), waiting_for: "retrying: registry.ollama.ai: no such host", retry_at, retries: 4 }),
      jobOf({ id: id(3), state: "running", completed_bytes: 5, total_bytes: 10 }),
      jobOf({ id: id(4), state: "cancelled", retries: 6, ended_at: site.ago(120), error: "Cancelled" }),
    ];
    await agent.publish();
    const { stdout } = await site.run(["jobs"], { terminal: true });
    expect(stdout.trimEnd().split("\n").slice(1)).toEqual([
      "00000003  gpu-1  phi4:latest  running    50 %",
      "00000002  gpu-1  phi4:latest  retrying   in 32 s: no such host",
      "00000001  gpu-1  phi4:latest  queued     behind phi4:latest",
      "00000004  gpu-1  phi4:latest  cancelled  2m ago, after 6 retries",
    ]);
    // A pipe has the states of the protocol.
    expect((await site.run(["jobs"])).stdout).toMatch(/00000002 {2}gpu-1 {2}phi4:latest {2}queued /);
  });
});

describe("jobs shows of many", () => {
  beforeEach(async () => {
    for (const name of ["gpu-2", "gpu-10"]) {
      const agent = await site.agent(name);
      const id = (index: number): string =>
        `01a20aac-0000-7785-${name === "gpu-2" ? "a" : "b"}000-0000000000${10 + index}`;
      const ended = (index: number): Job =>
        jobOf({
          id: id(index),
          agent: name,
          state: index % 4 === 0 ? "failed" : "succeeded",
          ended_at: site.ago(60 * index),
        });
      agent.jobs = [
        jobOf({ id: id(0), agent: name, state: name === "gpu-2" ? "queued" : "running" }),
        ...Array.from({ length: 8 }, (_, index) => ended(index + 1)),
      ];
      await agent.publish();
    }
  });

  async function shown(argv: readonly string[], terminal = true): Promise<string[]> {
    const { stdout } = await site.run(["jobs", ...argv], { terminal });
    return stdout.split("\n").slice(1, -1);
  }

  test("the last 10 that ended on a terminal, and how to see more; all in a pipe", async () => {
    const { stdout, stderr } = await site.run(["jobs"], { terminal: true });
    expect([stdout.split("\n").length - 2, stderr]).toEqual([12, "6 more: --limit 18 shows them\n"]);
    expect(
      stdout
        .split("\n")
        .slice(1, 3)
        .map((line) => line.split(/ +/)[1]),
    ).toEqual(["gpu-10", "gpu-2"]);
    expect(await shown(["--limit", "18"])).toHaveLength(18);
    expect(await shown([], false)).toHaveLength(18);
  });

  test("as many as --limit says, first those that have not ended", async () => {
    const states = async (limit: string) =>
      (await shown(["--limit", limit], false)).map((line) => line.split(/ {2,}/)[3]);
    expect(await states("3")).toEqual(["running", "queued", "succeeded"]);
    expect(await states("1")).toEqual(["running"]);
    expect((await site.run(["jobs", "--limit", "1"], { terminal: true })).stderr).toBe(
      "17 more: --limit 18 shows them\n",
    );
  });

  test("those that have not ended with --active", async () => {
    expect((await shown(["--active"])).map((line) => line.split(/ {2,}/)[3])).toEqual(["running", "queued"]);
  });

  test("those in the states that are asked for", async () => {
    expect(await shown(["--state", "failed"])).toHaveLength(4);
    expect(await shown(["--state", "failed,running", "--state", "queued"])).toHaveLength(6);
    expect(await site.run(["jobs", "--state", "cancelled"])).toEqual({
      status: 0,
      stdout: "",
      stderr: "No such jobs\n",
    });
    const { status, stderr } = await site.run(["jobs", "--state", "done"]);
    expect([status, stderr]).toEqual([64, expect.stringContaining('Unknown state "done"\n  States: queued, running')]);
  });

  test("the same as JSON, where nothing is left out unless asked", async () => {
    const states = async (argv: readonly string[]): Promise<string[]> =>
      JobsDocument.parse(JSON.parse((await site.run(["jobs", "--json", ...argv])).stdout)).jobs.map(
        ({ state }) => state,
      );
    expect(await states([])).toHaveLength(18);
    expect(await states(["--state", "failed"])).toEqual(["failed", "failed", "failed", "failed"]);
    expect(await states(["--active"])).toEqual(["queued", "running"]);
  });
});

describe("jobs with an id", () => {
  const error =
    'Cannot pull "phi4:latest": Ollama at http://127.0.0.1:11434 says: pull model manifest: file does not exist. ' +
    "The registry has no such model: check the name and tag";
  const failed = (): Job =>
    jobOf({
      state: "failed",
      code: "not_found",
      error,
      retries: 2,
      partial_bytes: 4e6,
      started_at: site.ago(180),
      ended_at: site.ago(60),
      requested_by: "gpuctl:alice@laptop",
      created_at: site.ago(200),
    });

  beforeEach(async () => {
    const agent = await site.agent("gpu-1");
    agent.jobs = [failed()];
    agent.oldJobs = [jobOf({ id: "01a20aac-24d0-7785-b91f-000000000009", state: "succeeded" })];
    await agent.publish();
  });

  test.each(["01a20aac-24d0-7785-b91f-da066d157a40", "01a20aac", "da066d157a40", "7a40"])(
    "%s shows everything about it",
    async (id) => {
      const { status, stdout, stderr } = await site.run(["jobs", id], { terminal: true });
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout.split("\n")).toEqual([
        "job           01a20aac-24d0-7785-b91f-da066d157a40",
        "agent         gpu-1",
        "model         phi4:latest",
        "state         failed",
        `error         ${error} (not_found)`,
        "left on disk  4.0 MB",
        "retries       2",
        "asked by      gpuctl:alice@laptop",
        expect.stringMatching(/^asked at {6}\S+Z \(3 minutes ago\)$/),
        expect.stringMatching(/^started {7}\S+Z \(3 minutes ago\)$/),
        expect.stringMatching(/^ended {9}\S+Z \(1 minute ago\)$/),
        "took          2 min",
        "to try again  gpuctl pull phi4:latest --agent gpu-1",
        "",
      ]);
    },
  );

  test("shows why one waits, with the agent's own words, and what can be done", async () => {
    const agent = await site.agent("gpu-2");
    const words = 'Ollama at http://127.0.0.1:11434 says: Get "https://hub.typo/v2/": EOF';
    // The pause in the note is as old as the note.
    const note = `retrying in 32 s: ${words}`;
    const retry_at = new Date(site.clock.now() + 8_000).toISOString();
    const waiting_for = "retrying: hub.typo: EOF";
    agent.jobs = [jobOf({ id: "01b20aac-24d0-7785-b91f-000000000001", agent: "gpu-2", note, waiting_for, retry_at })];
    await agent.publish();
    const { stdout } = await site.run(["jobs", "01b2"]);
    expect(stdout.split("\n").slice(3)).toEqual([
      "state         retrying (queued)",
      "reason        hub.typo: EOF",
      "next attempt  in 8 s (attempt 2)",
      `note          ${words}`,
      "to follow     gpuctl pull phi4:latest --agent gpu-2",
      "to cancel     gpuctl cancel 01b20aac-24d0-7785-b91f-000000000001",
      "",
    ]);
  });

  test("shows until when one waits for its box's window, and how it starts at once", async () => {
    const agent = await site.agent("gpu-2");
    const retry_at = new Date(site.clock.now() + 32_580_000).toISOString();
    const waiting_for = "waits for its window until 2026-11-30 20:00 Europe/Berlin";
    agent.jobs = [jobOf({ id: "01b20aac-24d0-7785-b91f-000000000001", agent: "gpu-2", waiting_for, retry_at })];
    await agent.publish();
    expect((await site.run(["jobs", "01b2"])).stdout.split("\n").slice(3)).toEqual([
      "state         queued",
      "waits         for its window until 2026-11-30 20:00 Europe/Berlin (pull --now)",
      "to start now  gpuctl pull phi4:latest --agent gpu-2 --now",
      "to follow     gpuctl pull phi4:latest --agent gpu-2",
      "to cancel     gpuctl cancel 01b20aac-24d0-7785-b91f-000000000001",
      "",
    ]);
    const { stdout } = await site.run(["jobs", "--agent", "gpu-2"]);
    expect(stdout).toContain(`${waiting_for} (pull --now)`);
    const table = await site.run(["jobs", "--agent", "gpu-2"], { terminal: true, columns: 80 });
    expect(table.stdout).toMatch(/queued +its window opens in 9h3m\n/);
    expect(Math.max(...table.stdout.split("\n").map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80);
    expect((await site.run(["jobs", "--agent", "gpu-2", "--state", "retrying"])).stdout).not.toContain("01b2");
  });

  test("is its document as JSON, also of one that no state shows any more", async () => {
    for (const [id, state] of [
      ["da066d157a40", "failed"],
      ["01a20aac-24d0-7785-b91f-000000000009", "succeeded"],
    ] as const) {
      const { stdout } = await site.run(["jobs", id, "--json"]);
      expect(Job.parse(JSON.parse(stdout)).state).toBe(state);
    }
  });

  test("is refused when it fits none or several, and with --follow", async () => {
    expect(await site.run(["jobs", "ffff"])).toMatchObject({
      status: 66,
      stderr: "error: No job matches ffff\n  gpuctl jobs lists the jobs\n",
    });
    const agent = await site.agent("gpu-2");
    agent.jobs = [{ ...failed(), agent: "gpu-2", id: "01a20aac-24d0-7785-b91f-000000000001" }];
    await agent.publish();
    const { status, stderr } = await site.run(["jobs", "01a20aac"]);
    expect([status, stderr]).toEqual([
      73,
      expect.stringContaining("Several jobs have an id that begins with 01a20aac"),
    ]);
    expect((await site.run(["jobs", "01a20aac", "--follow"])).status).toBe(64);
  });
});
