// An agent that leaves its transport: what it refuses, what it keeps, and how it is asked.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DrainFile } from "#src/agent/presence/drain_file.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";
import { until } from "#tests/support/until.ts";

const dirs: string[] = [];
let site: MemorySite;

beforeEach(() => {
  site = new MemorySite();
});

afterEach(async () => {
  await site.close();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

/** A request that the test makes. */
function request() {
  const { promise, resolve } = Promise.withResolvers<true>();
  const calls: string[] = [];
  const file = {
    clear: () => void calls.push("clear"),
    asked: async (signal: AbortSignal) =>
      await Promise.race([promise, new Promise<false>((stop) => signal.addEventListener("abort", () => stop(false)))]),
    done: () => void calls.push("done"),
  };
  return { ask: () => resolve(true), calls, file };
}

test("an agent that is asked to leave refuses what arrives, keeps its pull, stops, and goes on elsewhere", async () => {
  const { ask, calls, file: drainFile } = request();
  const [ollama, dir] = [new ScriptedOllama(), site.stateDir()];
  const pulled = Promise.withResolvers<void>();
  ollama.pullEnds = pulled.promise;
  await site.listen({ replyTo: "tester" });
  const agent = await site.start("gpu-1", { ollama, drainFile, dir });
  await site.command("gpu-1", "pull", { command: "pull_model", model_name: "qwen3" });
  await site.clock.advance(1_000);
  const job = site.replies.get("pull")?.job;
  expect((await site.state("gpu-1")).jobs).toMatchObject([{ state: "running" }]);

  ask();
  await site.clock.advance(1_000);
  expect((await site.state("gpu-1")).status).toBe("stopped");
  await site.command("gpu-1", "late", { command: "delete_model", model_name: "phi4" });
  await site.clock.advance(1_000);
  expect(site.replies.get("late")).toMatchObject({ success: false, code: "unavailable" });
  await site.clock.advance(3_000);
  await site.command("gpu-1", "later", { command: "pull_model", model_name: "phi4-mini" });
  await site.clock.advance(1_000);
  expect(site.replies.get("later")).toMatchObject({ success: false, code: "unavailable" });
  // It waits until none has arrived for a while.
  await site.clock.advance(3_000);
  expect(calls).toEqual(["clear"]);
  await site.clock.advance(3_000);
  await agent.ended;
  agent.ledger.close();
  expect([calls, ollama.calls]).toEqual([["clear", "done"], ["pull qwen3:latest"]]);
  expect(await site.state("gpu-1")).toMatchObject({ status: "stopped", jobs: [{ id: job?.id, ended_at: null }] });
  expect(await site.platform.commandsIn({ agent: "gpu-1" }, () => true, 10)).toEqual([]);

  const elsewhere = new MemoryStore(site.clock).open();
  await site.start("gpu-1", { ollama, dir, transport: elsewhere });
  pulled.resolve();
  await site.clock.advance(1_000);
  const record = await elsewhere.readState("gpu-1");
  const text = record !== null && "text" in record.content ? record.content.text : "{}";
  expect(JSON.parse(text)).toMatchObject({ status: "running", jobs: [{ id: job?.id, state: "succeeded" }] });
});

test("an agent that is stopped while it leaves ends at once", async () => {
  const { ask, file: drainFile } = request();
  const agent = await site.start("gpu-1", { drainFile });
  ask();
  await site.clock.advance(1_000);
  agent.stop.abort();
  await site.clock.advance(1_000);
  await agent.ended;
  expect((await site.state("gpu-1")).status).toBe("stopped");
});

test("an agent that stays busy with refusing leaves after a minute", async () => {
  const { ask, file: drainFile } = request();
  const agent = await site.start("gpu-1", { drainFile });
  ask();
  let hasEnded = false;
  void agent.ended.then(() => (hasEnded = true));
  for (let s = 0; s < 70; s += 2) {
    if (hasEnded) break;
    await site.command("gpu-1", `ping-${s}`, { command: "ping" });
    await site.clock.advance(2_000);
  }
  expect(hasEnded).toBe(true);
});

function stateDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-drain-"));
  dirs.push(dir);
  return dir;
}

test("DrainFile.ask() resolves when the agent has left", async () => {
  const [clock, dir] = [new ManualClock(), stateDir()];
  const [agent, operator] = [new DrainFile(dir, clock), new DrainFile(dir, clock)];
  const asked = agent.asked(new AbortController().signal);
  let isDone = false;
  const asking = operator.ask().then(() => (isDone = true));
  await clock.advance(1_000);
  expect([await asked, isDone]).toEqual([true, false]);
  agent.done();
  await clock.advance(1_000);
  expect(await asking).toBe(true);
});

test("DrainFile.ask() fails when no agent runs, and leaves no request behind", async () => {
  const [clock, dir] = [new ManualClock(), stateDir()];
  const asking = new DrainFile(dir, clock).ask().catch((error: unknown) => error);
  await settle();
  await clock.advance(16_000);
  expect(await asking).toMatchObject({ code: "unavailable" });
  const stop = AbortSignal.timeout(50);
  const asked = new DrainFile(dir, clock).asked(stop);
  await until(() => stop.aborted);
  expect(await asked).toBe(false);
});
