// gpuctl doctor: its findings in the fleet, its output and its exit status.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { DoctorDocument } from "#src/documents/doctor.ts";
import { CommandV2 } from "#src/protocol.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

/** The lines of its checks, hints left out. */
async function doctorLines(...args: readonly string[]): Promise<string[]> {
  const { stdout } = await site.run(["doctor", ...args]);
  return stdout.split("\n").filter((line) => /^[✓!✗]/u.test(line));
}

const MEMORY = "✓ memory: Exists in this process only";

describe("what it finds", () => {
  test("a healthy fleet: each agent, its clock, its Ollama, its answer, and who serves the shared inbox", async () => {
    await (await site.agent("gpu-1")).publish({ serves_shared_inbox: true, clock_offset_ms: 12 });
    await site.agent("gpu-2");
    const { status, stdout, stderr } = await site.run(["doctor"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(
      [
        MEMORY,
        "✓ agent gpu-1: Online: gpu-agent 0.1.0, state published 0 s ago",
        "✓ clock gpu-1: Clock within 12 ms of the share",
        "✓ ollama gpu-1: Ollama 0.12.0",
        "✓ agent gpu-2: Online: gpu-agent 0.1.0, state published 0 s ago",
        "✓ clock gpu-2: Clock within 0 ms of the share",
        "✓ ollama gpu-2: Ollama 0.12.0",
        "✓ shared_inbox: gpu-1 serves it",
        "✓ ping gpu-1: Round trip OK: 0.0 ms",
        "✓ ping gpu-2: Round trip OK: 0.0 ms",
        "",
        "10 checks: 10 ok, 0 warnings, 0 failed",
        "",
      ].join("\n"),
    );
  });

  test("--agent asks about one agent; another one may serve the shared inbox", async () => {
    await (await site.agent("gpu-1")).publish({ serves_shared_inbox: true });
    await site.agent("gpu-3");
    const lines = await doctorLines("--agent", "gpu-3");
    expect(lines).toContain("✓ shared_inbox: gpu-1 serves it");
    expect(lines.filter((line) => /^. (?:agent|clock|ollama|ping) gpu-1:/u.test(line))).toEqual([]);
  });

  test("answers to a ping that are not the agent's", async () => {
    await site.agent("gpu-1");
    const forger = site.store.open();
    await forger.connect();
    await forger.receive(
      { agent: "gpu-1" },
      {
        deliver: ({ id, content }) => {
          const { reply_to: replyTo } = CommandV2.parse(JSON.parse("text" in content ? content.text : ""));
          void forger.respond({ replyTo }, id, '{"success": true}', { durable: false });
        },
      },
    );
    expect(await doctorLines()).toContain("! ping gpu-1: 1 answer did not match the ping, before that of gpu-1");
    await forger.close();
  });

  test("no agent is a warning, with what to do", async () => {
    const { status, stdout } = await site.run(["doctor"]);
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        MEMORY,
        "! agent: No agent has published its state on this share",
        "    Start gpu-agent on a GPU machine that mounts this share",
        "",
        "2 checks: 1 ok, 1 warning, 0 failed",
        "",
      ].join("\n"),
    );
  });

  test("a silent agent fails and a stopped one warns; neither is pinged", async () => {
    await site.agent("gpu-4");
    await site.clock.advance(200_000);
    await (await site.agent("gpu-3")).publish({ status: "stopped" });
    const { status } = await site.run(["doctor"]);
    expect(status).toBe(1);
    expect(await doctorLines()).toEqual([
      MEMORY,
      "! agent gpu-3: Stopped just now",
      "✗ agent gpu-4: Silent for 3 min 20 s",
      "! shared_inbox: No agent serves it: legacy backends get no answer",
    ]);
  });

  test("an Ollama that is away fails, one that was not asked yet warns", async () => {
    const ollama = { reachable: false, version: null, error: "connection refused", checked_at: site.ago(0) };
    await (await site.agent("gpu-1")).publish({ ollama });
    await (await site.agent("gpu-2")).publish({ ollama: { ...ollama, error: null, checked_at: null } });
    const lines = await doctorLines();
    expect(lines).toContain("✗ ollama gpu-1: connection refused");
    expect(lines).toContain("! ollama gpu-2: Not checked yet");
  });

  test.each([
    [
      3_600_000,
      "! clock gpu-1: 1 h behind the share's clock: times in its log and jobs are off, commands are not affected",
    ],
    [
      -90_000,
      "! clock gpu-1: 1 min 30 s ahead of the share's clock: times in its log and jobs are off, commands are not affected",
    ],
    [-4_000, "✓ clock gpu-1: Clock within 4000 ms of the share"],
  ])("a box whose clock is off by %d ms", async (clock_offset_ms, line) => {
    await (await site.agent("gpu-1")).publish({ clock_offset_ms });
    expect(await doctorLines()).toContain(line);
  });

  test("an agent that leaves commands in its inboxes for want of room warns, with their number", async () => {
    await (await site.agent("gpu-1")).publish({ waiting_commands: 200 });
    expect(await doctorLines()).toContain("! agent gpu-1: 200 commands stay in its inboxes: it has 1000 in hand");
  });

  test("an agent whose document somebody forges warns, with the number of forged ones", async () => {
    await (await site.agent("gpu-1")).publish({ foreign_states: 60 });
    const line = "! agent gpu-1: 60 documents under its name were not its own since it started: it serves on";
    expect(await doctorLines()).toContain(line);
  });

  test("two that serve the shared inbox warn; a legacy service serves it alone", async () => {
    for (const name of ["gpu-1", "gpu-2"]) await (await site.agent(name)).publish({ serves_shared_inbox: true });
    expect(await doctorLines()).toContain("! shared_inbox: gpu-1 and gpu-2 serve it");
    await site.legacyService({ success: true });
    const lines = await doctorLines();
    expect(lines).toContain("✓ agent gpu: Legacy service: it lists, pulls and deletes, without progress");
    expect(lines).toContain("✓ shared_inbox: The legacy service serves it");
  });

  test.each([
    ["on", {}],
    ["only", { shared_inbox_only: true }],
  ])("a legacy service that is alive beside an agent with --shared-inbox %s fails", async (mode, fields) => {
    await (await site.agent("gpu-1")).publish({ serves_shared_inbox: true, shared_inbox: "on", ...fields });
    await site.legacyService({ success: true });
    const shown = `✗ shared_inbox: gpu_status.json changes, but by --shared-inbox no legacy service answers here: gpu-1 has ${mode}`;
    expect(await doctorLines()).toContain(shown);
  });

  test("an agent that draws no answer fails after --timeout, with where to look", async () => {
    await site.agent("gpu-1", { answer: () => undefined });
    await site.agent("gpu-2");
    const { status, stdout } = site.start(["doctor", "--timeout", "2"]);
    await site.clock.advance(2_000);
    expect(await status).toBe(1);
    expect(stdout.text).toContain("✗ ping gpu-1: No answer within 2 s: withdrawn before gpu-1 answered");
    expect(stdout.text).toContain("\n    One machine does not see the other's files");
    expect(stdout.text).toContain("✓ ping gpu-2: ");
  });

  test("a fault that keeps this machine from asking any agent is reported once", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2");
    // Inboxes that are gone: nobody can be asked.
    for (const key of site.store.inboxes.keys()) if (key !== "shared") site.store.inboxes.delete(key);
    const pings = (await doctorLines()).filter((line) => line.includes(" ping"));
    expect(pings.length).toBe(1);
    expect(pings[0]).toStartWith("✗ ping: ");
  });

  test("only the agents that are named are looked at; one that is not there fails", async () => {
    await site.agent("gpu-1");
    await site.agent("gpu-2");
    expect((await doctorLines("--agent", "gpu-2")).filter((line) => line.includes("gpu-1"))).toEqual([]);
    const { status, stdout } = await site.run(["doctor", "--agent", "gpu-9"]);
    expect(status).toBe(1);
    expect(stdout).toContain('✗ fleet: Unknown agent "gpu-9"\n    Known agents: gpu-1, gpu-2\n');
  });
});

describe("its output", () => {
  test("fits a terminal of 80 columns", async () => {
    const ollama = { reachable: false, version: null, error: "x ".repeat(100), checked_at: site.ago(0) };
    await (await site.agent("gpu-1")).publish({ ollama, clock_offset_ms: 3_600_000 });
    const { stdout } = await site.run(["doctor"], { terminal: true });
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(stdout).toContain(
      "\n! clock gpu-1: 1 h behind the share's clock: times in its log and jobs are off,\n  commands are not affected\n",
    );
  });

  test("prints one document under --json, and nothing else", async () => {
    await site.agent("gpu-1");
    await site.clock.advance(30_000);
    const { status, stdout, stderr } = await site.run(["doctor", "--json"]);
    const { result, checks } = DoctorDocument.parse(JSON.parse(stdout));
    expect([status, stderr, result]).toEqual([1, "", "failed"]);
    expect(checks.map(({ check, subject }) => [check, subject])).toEqual([
      ["memory", null],
      ["agent", "gpu-1"],
      ["shared_inbox", null],
    ]);
  });

  test("makes what comes from the share harmless to a terminal", async () => {
    const ollama = { reachable: false, version: null, error: "\u001b[31mred\nline", checked_at: site.ago(0) };
    await (await site.agent("gpu-1")).publish({ ollama });
    expect(await doctorLines()).toContain("✗ ollama gpu-1: [31mred line");
  });

  test("stops at Ctrl-C", async () => {
    await site.agent("gpu-1", { answer: () => undefined });
    const { status, stop, stderr } = site.start(["doctor"]);
    await site.clock.advance(10);
    stop();
    await site.clock.advance(5_000);
    expect(await status).toBe(130);
    expect(stderr.text).toStartWith("error: Interrupted before all checks were made\n");
  });
});
