// Pulls outside the box's windows wait, and stop when a window ends. The clock begins at 03:04:05, 55 s before the first ends.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { parsePullWindow } from "#src/agent/pulls/limits/pull_windows.ts";
import type { Job } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, type RunningAgent, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

const WINDOWS = ["TZ=UTC Fri 03:00-03:05", "TZ=UTC 03:10-03:15", "TZ=UTC Fri-Sat 03:20-03:25"];
const WAITS = "waits for its window until 2026-01-02 03:10 UTC";

let site: MemorySite;
let ollama: ScriptedOllama;
let dir: string;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  dir = site.stateDir();
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

async function start(): Promise<RunningAgent> {
  return await site.start("gpu-1", { ollama, pullWindows: WINDOWS.map(parsePullWindow), dir });
}

let count = 0;
async function pull(model: string, args: Record<string, unknown> = {}): Promise<Job | undefined> {
  const id = `pull-${++count}`;
  await site.command("gpu-1", id, { command: "pull_model", model_name: model, arguments: args });
  return site.replies.get(id)?.job;
}

async function job(index = 0): Promise<Job> {
  const found = (await site.state("gpu-1")).jobs[index];
  if (found === undefined) throw new Error("No such job");
  return found;
}

async function advanceTo(time: string): Promise<void> {
  await site.clock.advance(Date.parse(`2026-01-02T${time}Z`) - site.clock.now());
}

describe("a pull outside the windows", () => {
  test("waits, says until when, and runs when the window opens", async () => {
    await start();
    await advanceTo("03:06:00");
    const answered = await pull("a");
    expect(answered).toMatchObject({ state: "queued", retry_at: "2026-01-02T03:10:00.000Z", waiting_for: WAITS });
    await advanceTo("03:09:59");
    expect(await job()).toMatchObject({ state: "queued", waiting_for: WAITS });
    expect(ollama.calls).toEqual([]);
    await advanceTo("03:10:01");
    expect(await job()).toMatchObject({ state: "succeeded", retry_at: null, waiting_for: null });
  });

  test("waits on over a kill of its agent, and runs in the window", async () => {
    const first = await start();
    await advanceTo("03:06:00");
    const { id } = (await pull("a")) ?? {};
    await site.kill(first);
    await start();
    await advanceTo("03:07:00");
    expect(await job()).toMatchObject({ id, state: "queued", waiting_for: WAITS });
    await advanceTo("03:10:01");
    expect(await job()).toMatchObject({ id, state: "succeeded" });
  });

  test("can be cancelled, and never runs then", async () => {
    await start();
    await advanceTo("03:06:00");
    const job_id = (await pull("a"))?.id;
    await site.command("gpu-1", "cancel", { command: "cancel_job", arguments: { job_id } });
    expect(site.replies.get("cancel")?.job).toMatchObject({ state: "cancelled", waiting_for: null });
    await advanceTo("03:12:00");
    expect(ollama.calls).toEqual([]);
  });

  test("runs when the clock of the box is set into the window, or the box has slept until then", async () => {
    await start();
    await advanceTo("03:06:00");
    await pull("a");
    await site.clock.leap(5 * 60_000);
    await site.clock.advance(1000);
    expect(await job()).toMatchObject({ state: "succeeded" });
  });

  test("runs at any time where no window is set", async () => {
    await site.start("gpu-1", { ollama, dir });
    await advanceTo("03:06:00");
    await pull("a");
    expect(await job()).toMatchObject({ state: "succeeded" });
  });
});

describe("--now", () => {
  test("runs a new pull at once, and nothing else", async () => {
    await start();
    await advanceTo("03:06:00");
    await pull("a");
    await pull("b", { now: true });
    await settle();
    expect([(await job(0)).state, (await job(1)).state]).toEqual(["queued", "succeeded"]);
  });

  test("lets a job go that waits: it is the same job", async () => {
    await start();
    await advanceTo("03:06:00");
    const { id } = (await pull("a")) ?? {};
    expect((await pull("a", { now: true }))?.id).toBe(id ?? null);
    await settle();
    expect(await job()).toMatchObject({ id, state: "succeeded" });
  });

  test("outlasts the end of the window, and a restart", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    const first = await start();
    await pull("a");
    await pull("a", { now: true });
    await advanceTo("03:06:00");
    expect(await job()).toMatchObject({ state: "running" });
    await site.kill(first);
    ollama.pullEnds = Promise.resolve();
    await start();
    await site.clock.advance(1000);
    expect(await job()).toMatchObject({ state: "succeeded" });
  });

  test.each(["yes", 1, null, {}])("is nothing but true: %p waits", async (now) => {
    await start();
    await advanceTo("03:06:00");
    await pull("a", { now });
    expect(await job()).toMatchObject({ state: "queued" });
  });
});

describe("the end of a window", () => {
  test("stops a pull, which shows its progress and goes on in the next one", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    await start();
    await pull("a");
    await advanceTo("03:04:59");
    expect(await job()).toMatchObject({ state: "running", completed_bytes: 30 });
    await advanceTo("03:05:01");
    const stopped = await job();
    expect(stopped).toMatchObject({
      state: "queued",
      completed_bytes: 30,
      waiting_for: WAITS,
      retries: 0,
      ended_at: null,
    });
    expect(stopped).toMatchObject({ bytes_per_second: null, phase: null, note: null, code: null });
    expect(ollama.calls).toEqual(["pull a:latest"]);
    ollama.pullEnds = Promise.resolve();
    await advanceTo("03:10:01");
    expect(ollama.calls).toEqual(["pull a:latest", "pull a:latest"]);
    expect(await job()).toMatchObject({ state: "succeeded", started_at: stopped.started_at });
  });

  test("stops it again and again", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    await start();
    await pull("a");
    await advanceTo("03:30:00");
    expect(ollama.calls.length).toBe(3);
    expect(await job()).toMatchObject({ waiting_for: "waits for its window until 2026-01-03 03:10 UTC" });
  });

  test("lets a pull end that has all of its data", async () => {
    const verified = Promise.withResolvers<void>();
    ollama.pullModel = async (name, options) => {
      ollama.calls.push(`pull ${name}`);
      options?.onProgress?.({ phase: "verifying", completedBytes: 100, totalBytes: 100, receivedBytes: 100 });
      await verified.promise;
    };
    await start();
    await pull("a");
    await advanceTo("03:06:00");
    expect(await job()).toMatchObject({ state: "verifying" });
    verified.resolve();
    await settle();
    expect(await job()).toMatchObject({ state: "succeeded" });
  });

  test("leaves no place to a pull that waits, and a cancel then ends the stopped one", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    await start();
    const job_id = (await pull("a"))?.id;
    await pull("b");
    await advanceTo("03:06:00");
    expect([(await job(0)).waiting_for, (await job(1)).waiting_for]).toEqual([WAITS, WAITS]);
    await site.command("gpu-1", "cancel", { command: "cancel_job", arguments: { job_id } });
    expect(site.replies.get("cancel")?.job).toMatchObject({ state: "cancelled", error: "Cancelled" });
    expect(await job(1)).toMatchObject({ state: "queued" });
  });
});
