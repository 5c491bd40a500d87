// gpuctl agents, ping, jobs.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { visibleText } from "#src/base/format.ts";
import { AgentsDocument } from "#src/documents/agents.ts";
import { JobsDocument } from "#src/documents/jobs.ts";
import { ClientSite, jobOf } from "#tests/support/sites/client_run.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

/** gpu-1 well, gpu-2 without Ollama, gpu-3 stopped, gpu-4 silent. */
async function mixedFleet(): Promise<void> {
  await site.agent("gpu-4");
  await site.clock.advance(200_000);
  await site.agent("gpu-1", { models: [modelOf("phi4:latest")] });
  const checked_at = site.ago(0);
  const ollama = { reachable: false, version: null, error: "connection refused", checked_at };
  await (await site.agent("gpu-2")).publish({ ollama });
  await (await site.agent("gpu-3")).publish({ status: "stopped" });
}

describe("agents", () => {
  test("shows how each one is", async () => {
    await mixedFleet();
    const { status, stdout, stderr } = await site.run(["agents"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        "AGENT  STATUS                                               MODELS  JOBS  FREE DISK  OLLAMA  VERSION",
        "gpu-1  online                                                    1     0     4.0 GB  0.12.0  0.1.0",
        "gpu-2  online, Ollama is not reachable: connection refused       0     0     4.0 GB  -       0.1.0",
        "gpu-3  stopped just now                                          0     0     4.0 GB  0.12.0  0.1.0",
        "gpu-4  silent for 3 min 20 s                                     0     0     4.0 GB  0.12.0  0.1.0",
        "",
      ].join("\n"),
    );
  });

  test("fits a terminal", async () => {
    await mixedFleet();
    const { stdout } = await site.run(["agents"], { terminal: true });
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(
      "online, Ollama is not 0 0 4.0 GB - 0.1.0 reachable: connection refused",
    );
  });

  test("shows how far a clock is off from the share's, and fits a terminal with it", async () => {
    await (await site.agent("gpu-1")).publish({ clock_offset_ms: 3_600_000 });
    const ollama = { reachable: false, version: null, error: "connection refused", checked_at: site.ago(0) };
    await (await site.agent("gpu-2")).publish({ clock_offset_ms: -75_000, ollama });
    await (await site.agent("gpu-3")).publish({ clock_offset_ms: 4_999 });
    const { stdout } = await site.run(["agents"]);
    expect(stdout).toContain("gpu-1  online, its clock 1 h behind  ");
    expect(stdout).toContain("online, Ollama is not reachable: connection refused, its clock 1 min 15 s ahead  ");
    expect(stdout).toMatch(/^gpu-3 {2}online {3,}/m);
    const terminal = await site.run(["agents"], { terminal: true });
    for (const line of terminal.stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    const { agents } = AgentsDocument.parse(JSON.parse((await site.run(["agents", "--json"])).stdout));
    expect(agents.map(({ clock_offset_ms }) => clock_offset_ms)).toEqual([3_600_000, -75_000, 4_999]);
  });

  test("shows GPUs, memory, platform and labels with --wide, and what is unknown as such", async () => {
    const gpu = { uuid: "GPU-1", name: "NVIDIA H200", memory_total_bytes: 150e9, memory_used_bytes: 1e9 };
    const other = { ...gpu, name: "Tesla T4", memory_total_bytes: 16e9, memory_used_bytes: null };
    const box = {
      gpus: [0, 1].map((index) => ({ ...gpu, index })),
      memory: { total_bytes: 270e9, available_bytes: 255e9 },
      platform: { os: "linux", arch: "x64" },
      labels: { site: "berlin", rack: "b/12" },
    };
    await (await site.agent("gpu-1")).publish(box);
    const evil = { platform: { os: "a\u001b[2J", arch: "b" }, labels: { "\u202e": "\u0007" } };
    await (await site.agent("gpu-2")).publish({ ...evil, gpus: [...box.gpus, { ...other, index: 2 }], memory: null });
    await site.agent("gpu-3");
    await site.legacyService({ success: true });
    const { stdout } = await site.run(["agents", "--wide"]);
    expect(stdout).toMatch(/ VERSION +GPUS +FREE GPU MEMORY +FREE MEMORY +PLATFORM +LABELS$/m);
    expect(stdout).toMatch(
      /^gpu-1 .* 2x NVIDIA H200 +298\.0 GB of 300\.0 GB +255\.0 GB of 270\.0 GB +linux x64 +site=berlin rack=b\/12$/m,
    );
    expect(stdout).toMatch(/^gpu-2 .* 2x NVIDIA H200, Tesla T4 +- +- +a \[2J b +=/m);
    expect(stdout).toMatch(/^gpu-3 .* 0\.1\.0 +- +- +- +- +-$/m);
    expect(stdout).toMatch(/^gpu .* legacy service +- +- +- +- +-$/m);
    expect(visibleText(stdout)).toBe(stdout);
    expect((await site.run(["agents"])).stdout).not.toContain("LABELS");
    const { agents } = AgentsDocument.parse(JSON.parse((await site.run(["agents", "--json"])).stdout));
    const unknown = { gpus: null, memory: null, platform: null, labels: null };
    expect(agents).toMatchObject([unknown, box, { memory: null }, { ...unknown, gpus: [] }]);
  });

  test("prints the document of /v1/agents under --json", async () => {
    await mixedFleet();
    const { stdout } = await site.run(["agents", "--json"]);
    const { agents } = AgentsDocument.parse(JSON.parse(stdout));
    expect(agents.map(({ agent, status, reason }) => [agent, status, reason])).toEqual([
      ["gpu-1", "online", null],
      ["gpu-2", "online", "ollama_down"],
      ["gpu-3", "offline", "stopped"],
      ["gpu-4", "offline", "silent"],
    ]);
  });

  test("prints what to do when there is no agent, and succeeds", async () => {
    const result = await site.run(["agents"]);
    expect([result.status, result.stdout]).toEqual([0, ""]);
    expect(result.stderr).toBe(
      "No agent has published its state in memory\n  Start gpu-agent on a GPU machine that mounts this share\n",
    );
    expect(await site.run(["agents", "--json"])).toEqual({ status: 0, stdout: '{"agents":[]}\n', stderr: "" });
  });

  test("shows a legacy service as one", async () => {
    await site.legacyService({ success: true });
    expect((await site.run(["agents"])).stdout).toContain(
      "gpu    online       -     -          -  reachable  legacy service",
    );
  });

  test("shows only those named, and names those there are when one is not", async () => {
    await mixedFleet();
    expect((await site.run(["agents", "--agent", "gpu-3"])).stdout.split("\n").length).toBe(3);
    const { status, stderr } = await site.run(["agents", "--agent", "gpu-9"]);
    expect([status, stderr]).toEqual([
      66,
      'error: Unknown agent "gpu-9"\n  Known agents: gpu-1, gpu-2, gpu-3, gpu-4\n',
    ]);
  });

  test("puts its head in bold on a terminal with colors only", async () => {
    await site.agent("gpu-1");
    expect((await site.run(["agents"], { terminal: true, color: true })).stdout).toStartWith("\u001b[1mAGENT");
    expect((await site.run(["agents"], { terminal: true, color: false })).stdout).toStartWith("AGENT");
    expect((await site.run(["agents"], { terminal: false, color: true })).stdout).toStartWith("AGENT");
  });
});

describe("ping", () => {
  test("measures each agent that has not stopped", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2");
    await (await site.agent("gpu-3")).publish({ status: "stopped" });
    const { status, stdout } = await site.run(["ping"]);
    expect([status, stdout]).toEqual([0, "AGENT  ROUND TRIP\ngpu-1  0.0 ms\ngpu-2  0.0 ms\n"]);
  });

  test("exits by the code of the only agent asked", async () => {
    await mixedFleet();
    const { status, stdout, stderr } = await site.run(["ping", "--agent", "gpu-4"]);
    expect([status, stdout]).toEqual([69, ""]);
    expect(stderr).toStartWith("error: gpu-4 has been silent for 3 min 20 s\n  Check that the machine is up");
    const json = await site.run(["ping", "--agent", "gpu-4", "--json"]);
    expect(json.status).toBe(69);
    const error = "gpu-4 has been silent for 3 min 20 s";
    expect(JSON.parse(json.stdout)).toEqual({ agents: [{ agent: "gpu-4", rtt_ms: null, code: "unavailable", error }] });
  });

  test("exits with 1 when not all of several answer, and shows both", async () => {
    await mixedFleet();
    const { status, stdout, stderr } = await site.run(["ping", "--agent", "gpu-1,gpu-4"]);
    expect([status, stderr]).toEqual([1, "1 of 2 agents failed\n"]);
    expect(stdout).toContain("gpu-1  0.0 ms\ngpu-4  failed: gpu-4 has been silent for 3 min 20 s");
  });

  test("reports an agent that does not accept a command in time", async () => {
    await site.agent("gpu-1", { answer: () => undefined });
    const { status, stderr } = site.start(["ping", "--timeout", "2"]);
    await site.clock.advance(2_000);
    expect(await status).toBe(75);
    expect(stderr.text).toStartWith("error: No answer within 2 s: not yet answered by gpu-1");
  });

  test("fails with unimplemented at a legacy service and with unavailable when nobody is there", async () => {
    expect((await site.run(["ping"])).status).toBe(69);
    await site.legacyService({ success: true });
    expect(await site.run(["ping"])).toMatchObject({
      status: 69,
      stderr: "error: gpu is a legacy service and does not support ping\n  Install gpu-agent on that machine\n",
    });
  });
});

describe("ping --count and --interval", () => {
  /** Lets time pass until gpuctl ends. */
  async function ended(status: Promise<number>): Promise<number> {
    const end = { status: undefined as number | undefined };
    void status.then((value) => (end.status = value));
    for (let step = 0; end.status === undefined && step < 200; step++) await site.clock.advance(100);
    return await status;
  }

  test("ping again and again, and sum up at the end", async () => {
    await site.agent("gpu-1");
    const startedMs = site.clock.monotonic();
    const { status, stdout, stderr } = site.start(["ping", "--count", "3", "--interval", "2"]);
    expect([await ended(status), stderr.text]).toEqual([0, ""]);
    expect(stdout.text).toBe(
      [
        "1  gpu-1  0.0 ms",
        "2  gpu-1  0.0 ms",
        "3  gpu-1  0.0 ms",
        "AGENT  ANSWERED     MIN  MEDIAN     MAX",
        "gpu-1    3 of 3  0.0 ms  0.0 ms  0.0 ms",
        "",
      ].join("\n"),
    );
    // Nothing is waited for after the last.
    expect(site.clock.monotonic() - startedMs).toBeLessThan(4_500);
  });

  test("--count alone is once a second, and the times are those of all rounds", async () => {
    let delayMs = 300;
    await site.agent("gpu-1", {
      answer: async () => {
        await site.clock.sleep((delayMs -= 100));
        return { success: true };
      },
    });
    const { status, stdout } = site.start(["ping", "--count", "2"]);
    expect(await ended(status)).toBe(0);
    expect(stdout.text).toBe(
      [
        "1  gpu-1  200 ms",
        "2  gpu-1  100 ms",
        "AGENT  ANSWERED     MIN  MEDIAN     MAX",
        "gpu-1    2 of 2  100 ms  150 ms  200 ms",
        "",
      ].join("\n"),
    );
  });

  test("--json prints the document of each round on a line, and no summary", async () => {
    await site.agent("gpu-1");
    const { status, stdout } = site.start(["ping", "--count", "2", "--json"]);
    expect(await ended(status)).toBe(0);
    const line = '{"agents":[{"agent":"gpu-1","rtt_ms":0}]}\n';
    expect(stdout.text).toBe(line + line);
  });

  test("one that fails does not end the others, and counts for the exit status", async () => {
    await mixedFleet();
    const { status, stdout } = site.start(["ping", "--count", "2", "--agent", "gpu-1,gpu-4"]);
    expect(await ended(status)).toBe(1);
    expect(stdout.text).toContain("2  gpu-1  0.0 ms\n2  gpu-4  failed: gpu-4 has been silent for 3 min 21 s\n");
    expect(stdout.text).toEndWith("gpu-1    2 of 2  0.0 ms  0.0 ms  0.0 ms\ngpu-4    0 of 2       -       -       -\n");
  });

  test("--interval alone goes on until Ctrl-C, which sums up too", async () => {
    await site.agent("gpu-1");
    const { status, stdout, stop } = site.start(["ping", "--interval", "1"]);
    for (let second = 0; second < 5; second++) await site.clock.advance(1_000);
    stop();
    expect(await status).toBe(130);
    expect(stdout.text).toMatch(/^gpu-1 +([56]) of \1 /m);
  });

  test.each(["0", "-1", "1.5", "many"])("--count %s is refused", async (count) => {
    const { status, stderr } = await site.run(["ping", "--count", count]);
    expect([status, stderr]).toEqual([64, expect.stringContaining("Give a whole number above 0")]);
  });
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
    expect(stdout).toContain("\nda066d157a40  gpu-1  phi4:latest  running    42 %, 56.0 MB/s, 1 min 33 s left\n");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("stays readable on a terminal after one very long name", async () => {
    await threeJobs();
    const agent = await site.agent("gpu-2");
    agent.jobs = [{ ...job, agent: "gpu-2", model: `hf.co/someone/${"long-".repeat(20)}name:Q4_K_M` }];
    await agent.publish();
    const { stdout } = await site.run(["jobs"], { terminal: true });
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    // Each job in a few lines, and not in a dozen of a word each.
    expect(stdout.split("\n").length).toBeLessThan(18);
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

  test("names the last commands of the day that an agent refused, and all as JSON", async () => {
    const agent = await site.agent("gpu-1");
    await site.agent("gpu-2");
    const refused = (index: number, secondsAgo: number) => ({
      at: site.ago(secondsAgo),
      command_id: `delete_model_${index}`,
      command: "delete_model",
      model: "phi4:latest",
      code: "forbidden" as const,
      error: "This box requires signed commands",
    });
    await agent.publish({
      refused: [refused(0, 2 * 86_400), ...[1, 2, 3, 4, 5, 6].map((index) => refused(index, 60))],
    });
    const { status, stderr } = await site.run(["jobs"]);
    const line = "gpu-1 refused delete_model phi4:latest 1 minute ago: This box requires signed commands";
    expect([status, stderr.split("\n").filter((text) => text === line).length]).toEqual([0, 5]);
    expect(stderr).toContain("1 more command was refused\n  See all: gpuctl jobs --json\n");
    const all = JSON.parse((await site.run(["jobs", "--json"])).stdout);
    expect([all.refused.length, all.refused[0].agent]).toEqual([7, "gpu-1"]);
    expect(JSON.parse((await site.run(["jobs", "--agent", "gpu-2", "--json"])).stdout).refused).toEqual([]);
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
});
