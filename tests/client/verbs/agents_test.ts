// gpuctl agents, ping.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { visibleText } from "#src/base/format.ts";
import { AgentsDocument } from "#src/documents/agents.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
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
    expect(stdout.split("\n")).toHaveLength(6);
    expect(stdout).toContain("\ngpu-2  online, Ollama is not reachabl…       0     0     4.0 GB  -       0.1.0\n");
    const wide = await site.run(["agents", "--wide"], { terminal: true });
    expect(wide.stdout).toContain("gpu-2  online, Ollama is not reachable: connection refused  ");
  });

  test.each([30, 40, 50, 62])(
    "fits a terminal of %p columns, the least important columns left out",
    async (columns) => {
      await mixedFleet();
      const { stdout } = await site.run(["agents"], { terminal: true, columns });
      const lines = stdout.trimEnd().split("\n");
      expect(lines).toHaveLength(5);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
      for (const title of ["AGENT", "STATUS", "JOBS"]) expect(lines[0]).toContain(title);
    },
  );

  test("counts as people do: gpu-2 before gpu-10", async () => {
    for (const name of ["gpu-10", "gpu-9", "rack-1", "gpu-2"]) await site.agent(name);
    const { stdout } = await site.run(["agents"]);
    expect(stdout.match(/^(gpu|rack)-\d+/gm)).toEqual(["gpu-2", "gpu-9", "gpu-10", "rack-1"]);
    expect((await site.run(["rm", "phi4"])).stderr).toContain("(gpu-2, gpu-9, gpu-10, rack-1)");
  });

  test("colors what is fine, what needs a look and what failed, only where colors are welcome", async () => {
    await mixedFleet();
    const { stdout } = await site.run(["agents"], { terminal: true, color: true });
    expect(stdout).toContain("gpu-1  \u001b[32monline\u001b[39m");
    expect(stdout).toContain("gpu-3  \u001b[33mstopped just now\u001b[39m");
    for (const argv of [["agents"], ["agents", "--json"]])
      expect((await site.run(argv, { color: true })).stdout).not.toContain("\u001b");
    expect((await site.run(["agents", "--json"], { terminal: true, color: true })).stdout).not.toContain("\u001b");
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
    expect(await site.run(["ping"])).toEqual({
      status: 0,
      stdout: "AGENT  ROUND TRIP\ngpu-1  0.0 ms\ngpu-2  0.0 ms\n",
      stderr: "gpu-3 not asked: stopped just now\n",
    });
  });

  test("names those that stopped once beside several rounds, and in the document", async () => {
    await site.agent("gpu-1");
    for (const name of ["gpu-2", "gpu-3", "gpu-4", "gpu-5"])
      await (await site.agent(name)).publish({ status: "stopped" });
    const { status, stderr } = site.start(["ping", "--count", "2"]);
    await site.clock.advance(1_000);
    expect([await status, stderr.text]).toEqual([0, "4 agents not asked: gpu-[2-5] (gpuctl agents shows why)\n"]);
    const { unavailable } = JSON.parse((await site.run(["ping", "--json"])).stdout);
    expect(unavailable.map(({ agent }: { agent: string }) => agent)).toEqual(["gpu-2", "gpu-3", "gpu-4", "gpu-5"]);
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
    expect(stderr.text).toStartWith("error: No answer within 2 s: withdrawn before gpu-1 answered");
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
