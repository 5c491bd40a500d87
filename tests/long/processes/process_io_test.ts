// gpuctl as a process on a real folder: pipes that are slow, closed or full, signals, and what it leaves on the share.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { ModelsDocument } from "#src/documents/models.ts";
import type { Model } from "#src/protocol.ts";
import { openTransport } from "#src/transport/open.ts";
import { jobOf } from "#tests/support/sites/client_run.ts";
import { type Answer, modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const CLIENT = join(import.meta.dir, "../../../src/client.ts");
const TIMEOUT_MS = 10_000;

let share = "";
let agents: ScriptedAgent[] = [];
beforeEach(() => {
  share = mkdtempSync(join(tmpdir(), "gpu-courier-client-"));
  agents = [];
});
afterEach(async () => {
  for (const agent of agents) await agent.close();
  rmSync(share, { recursive: true });
});

async function openAgent(options: { models?: readonly Model[]; answer?: Answer } = {}): Promise<ScriptedAgent> {
  const open = () => openTransport(share, { create: "always", watch: "local", clock: systemClock, log: silentLog });
  const agent = await ScriptedAgent.open({ open }, "gpu-1", options);
  agents.push(agent);
  return agent;
}

/** Runs a line of shell in which `gpuctl` is gpuctl on the share. */
function shell(line: string) {
  const gpuctl = [process.execPath, CLIENT, "--share", share].map((word) => `'${word}'`).join(" ");
  const script = `gpuctl() { ${gpuctl} "$@"; }; ${line}`;
  return Bun.spawn(["bash", "-c", script], { cwd: share, env: {}, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

async function run(line: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = shell(line);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr };
}

/** What there is on the share, but for the two folders that files are written in before they are published. */
function lying(): string[] {
  const names = readdirSync(share, { recursive: true, encoding: "utf8" });
  return names.filter((name) => !name.endsWith("/.tmp")).toSorted();
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + TIMEOUT_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error("It did not come about");
    await systemClock.sleep(10);
  }
}

describe("what gpuctl prints", () => {
  const many = Array.from({ length: 900 }, (_, index) => modelOf(`model-${index}`, { digest: "ac89".repeat(16) }));

  test("reaches a slow reader whole", async () => {
    await openAgent({ models: many });
    // The reader takes one byte at a time at first.
    const { stdout, stderr } = await run(
      'gpuctl list --json | { for _ in {1..2000}; do read -r -N 1 c; printf %s "$c"; done; cat; }',
    );
    expect(stderr).toBe("");
    expect(ModelsDocument.parse(JSON.parse(stdout)).models.length).toBe(900);
  });

  test("may be cut off by its reader, without a word", async () => {
    await openAgent({ models: many });
    // More than a pipe holds.
    const { stdout, stderr } = await run("gpuctl list --json | head -c 1; echo ${PIPESTATUS[0]}");
    expect([stdout, stderr]).toEqual(["{0\n", ""]);
  });

  test.each([
    ["jobs --follow", "gpu-1: phi4:latest running"],
    ["jobs --follow --json", '{"id"'],
    ["wait phi4", "gpu-1: running"],
    ["pull phi4", "gpu-1: queued"],
    ["ping --interval 600", "1  gpu-1"],
  ])("of %s ends with its reader, although nothing more happens", async (verb, begin) => {
    const agent = await openAgent();
    agent.jobs = [jobOf({ state: "running" })];
    await agent.publish();
    const startedMs = performance.now();
    const { stdout } = await run(`gpuctl ${verb} | head -1; echo \${PIPESTATUS[0]}`);
    expect(stdout).toStartWith(begin);
    expect(stdout).toEndWith("\n130\n");
    expect(performance.now() - startedMs).toBeLessThan(TIMEOUT_MS / 2);
  });

  test("is not taken for printed when the disk is full", async () => {
    await openAgent();
    expect((await run("gpuctl agents > /dev/full")).status).toBe(74);
    // Nobody has pressed Ctrl-C, though that is how it ends.
    expect((await run("gpuctl pull phi4 > /dev/full")).status).toBe(74);
  });
});

describe("a signal", () => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s takes the command back and leaves the share as it was",
    async (signal) => {
      const agent = await openAgent({ answer: () => undefined });
      const before = lying();
      const command = [process.execPath, CLIENT, "--share", share, "rm", "phi4"];
      const child = Bun.spawn(command, { cwd: share, env: {}, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      await until(() => agent.commands.length === 1);
      expect(lying().length).toBeGreaterThan(before.length);
      child.kill(signal);
      expect(await child.exited).toBe(130);
      expect(await child.stderr.text()).toStartWith("error: Interrupted");
      expect(lying()).toEqual(before);
    },
  );

  test("detaches from a pull, which goes on", async () => {
    const agent = await openAgent();
    const before = lying();
    const command = [process.execPath, CLIENT, "--share", share, "pull", "phi4"];
    const child = Bun.spawn(command, { cwd: share, env: {}, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const first = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(first.value)).toBe("gpu-1: queued\n");
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await child.stderr.text()).toStartWith("Detached: gpu-1 continues to pull phi4:latest\n");
    expect(agent.commands.map(({ command: verb }) => verb)).toEqual(["pull_model"]);
    expect(lying()).toEqual(before);
  });
});

describe("the share", () => {
  test("is left as it was by every verb", async () => {
    await openAgent({ models: [modelOf("phi4:latest")] });
    const before = lying();
    for (const verb of ["agents", "list", "list --fresh", "jobs", "ping", "rm phi4"]) {
      expect([verb, (await run(`gpuctl ${verb}`)).status]).toEqual([verb, 0]);
      expect([verb, lying()]).toEqual([verb, before]);
    }
  });

  test("is not made when it is not there: 69, and why", async () => {
    for (const verb of ["agents", "list", "ping"]) {
      const { status, stdout, stderr } = await run(`gpuctl ${verb}`);
      expect([status, stdout]).toEqual([69, ""]);
      expect(stderr).toStartWith(`error: ${share} has no gpu_commands folder`);
    }
    expect(lying()).toEqual([]);
  });
});
