// Pulls as jobs, and what becomes of them when the agent stops, on the memory transport.
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { PullProgress } from "#src/agent/ollama/pull_tracker.ts";
import { CourierError } from "#src/base/errors.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
let ollama: ScriptedOllama;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

async function pull(id: string, model: string): Promise<void> {
  await site.command("gpu-1", id, { command: "pull_model", model_name: model });
}

async function jobStates(): Promise<string[]> {
  return (await site.state("gpu-1")).jobs.map(({ model, state }) => `${model} ${state}`);
}

test("pull() queues the second model and begins it when the first ended", async () => {
  const first = Promise.withResolvers<void>();
  ollama.pullEnds = first.promise;
  await site.start("gpu-1", { ollama });
  await pull("id-1", "a");
  await pull("id-2", "b");
  expect(await jobStates()).toEqual(["a:latest running", "b:latest queued"]);
  first.resolve();
  await settle();
  expect(await jobStates()).toEqual(["a:latest succeeded", "b:latest succeeded"]);
});

test("pull() joins the job of the same model", async () => {
  ollama.pullEnds = new Promise(() => undefined);
  await site.start("gpu-1", { ollama });
  await pull("id-1", "phi5");
  await pull("id-2", "PHI5:latest");
  const ids = ["id-1", "id-2"].map((id) => site.replies.get(id)?.job?.id);
  expect(ids[0]).toBeString();
  expect(ids[1]).toBe(ids[0] ?? "");
  expect(ollama.calls).toEqual(["pull phi5:latest"]);
});

test("pull() has succeeded only when the model is in the list", async () => {
  await site.start("gpu-1", { ollama });
  await pull("id-1", "phi5");
  await settle();
  const { jobs, models } = await site.state("gpu-1");
  expect(jobs[0]).toMatchObject({
    state: "succeeded",
    completed_bytes: 100,
    total_bytes: 100,
    code: null,
    error: null,
  });
  expect(jobs[0]?.ended_at).toBeString();
  expect(models?.map(({ name }) => name)).toContain("phi5:latest");
});

test("pull() fails with Ollama's code and message", async () => {
  const failed = Promise.reject(new CourierError("not_found", "pull model manifest: file does not exist"));
  failed.catch(() => undefined);
  ollama.pullEnds = failed;
  await site.start("gpu-1", { ollama });
  await pull("id-1", "nope");
  await settle();
  const { jobs } = await site.state("gpu-1");
  expect(jobs[0]).toMatchObject({
    state: "failed",
    code: "not_found",
    error: "pull model manifest: file does not exist",
  });
});

test("close() leaves jobs that the next start goes on with", async () => {
  ollama.pullEnds = new Promise(() => undefined);
  const dir = site.stateDir();
  const first = await site.start("gpu-1", { ollama, dir });
  await pull("id-1", "a");
  await pull("id-2", "b");
  first.stop.abort();
  await first.ended;
  first.ledger.close();
  expect((await site.state("gpu-1")).status).toBe("stopped");
  expect(await jobStates()).toEqual(["a:latest queued", "b:latest queued"]);
  ollama.pullEnds = Promise.resolve();
  await site.start("gpu-1", { ollama, dir });
  await site.clock.advance(100);
  expect(await jobStates()).toEqual(["a:latest succeeded", "b:latest succeeded"]);
});

test("close() does not wait for an Ollama that hangs longer than the agent has to stop", async () => {
  const dir = site.stateDir();
  ollama.listModels = async () => await new Promise(() => undefined);
  const { stop, ended, ledger } = await site.start("gpu-1", { ollama, dir });
  await pull("id-1", "a");
  stop.abort();
  await site.clock.advance(9000);
  await ended;
  expect((await site.state("gpu-1")).status).toBe("stopped");
  ledger.close();
  await site.start("gpu-1", { ollama: new ScriptedOllama(), dir });
  await site.clock.advance(1000);
  expect(await jobStates()).toEqual(["a:latest succeeded"]);
});

test("pull() starts nothing when it cannot be noted", async () => {
  const { ledger } = await site.start("gpu-1", { ollama });
  const keepJob = ledger.keepJob.bind(ledger);
  ledger.keepJob = () => {
    throw new CourierError("exhausted", "The disk is full");
  };
  await pull("id-1", "a");
  expect(site.replies.get("id-1")).toMatchObject({ success: false, code: "exhausted" });
  ledger.keepJob = keepJob;
  await pull("id-2", "b");
  await settle();
  expect(ollama.calls).toEqual(["pull b:latest"]);
});

test("a pull ends as it ended when that cannot be noted", async () => {
  const end = Promise.withResolvers<void>();
  ollama.pullEnds = end.promise;
  const { ledger } = await site.start("gpu-1", { ollama });
  await pull("id-1", "a");
  ledger.keepJob = () => {
    throw new CourierError("exhausted", "The disk is full");
  };
  end.resolve();
  await settle();
  expect(await jobStates()).toEqual(["a:latest succeeded"]);
});

test("a delete that cancelled the pull of its model is done although the agent is stopping", async () => {
  ollama.pullEnds = new Promise(() => undefined);
  const pullModel = ollama.pullModel.bind(ollama);
  const aborted = Promise.withResolvers<void>();
  ollama.pullModel = async (name, options) => {
    try {
      await pullModel(name, options);
    } catch (error) {
      await aborted.promise;
      throw error;
    }
  };
  const { stop, ended } = await site.start("gpu-1", { ollama });
  await pull("id-1", "a");
  await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "a" });
  stop.abort();
  await settle();
  aborted.resolve();
  await ended;
  expect(site.replies.get("id-2")).toMatchObject({ success: true });
  expect(await jobStates()).toEqual(["a:latest cancelled"]);
});

test("a delete does not claim to have cancelled a pull that was done just before", async () => {
  const listing = Promise.withResolvers<void>();
  await site.start("gpu-1", { ollama });
  ollama.trouble = listing.promise;
  ollama.pullModel = async (name) => {
    ollama.models = [...ollama.models, { ...PHI4, name }];
    await Promise.resolve();
  };
  await pull("id-1", "a");
  await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "a" });
  listing.resolve();
  await settle();
  expect(await jobStates()).toEqual(["a:latest succeeded"]);
  expect(site.replies.get("id-2")?.message).toBe("Successfully deleted model a:latest");
});

test("a cancel does not wait for that of another job", async () => {
  const pullModel = ollama.pullModel.bind(ollama);
  const stops = Promise.withResolvers<void>();
  ollama.pullEnds = new Promise(() => undefined);
  ollama.pullModel = async (name, options) => {
    try {
      await pullModel(name, options);
    } finally {
      if (name === "slow:latest") await stops.promise;
    }
  };
  await site.start("gpu-1", { ollama, maxPulls: 2 });
  for (const model of ["slow", "quick"]) await pull(`id-${model}`, model);
  for (const model of ["slow", "quick"]) {
    const job_id = site.replies.get(`id-${model}`)?.job?.id;
    await site.command("gpu-1", `cancel-${model}`, { command: "cancel_job", arguments: { job_id } });
  }
  await settle();
  expect(site.replies.has("cancel-slow")).toBe(false);
  expect(site.replies.get("cancel-quick")).toMatchObject({ success: true, job: { state: "cancelled" } });
  stops.resolve();
  await settle();
  expect(site.replies.get("cancel-slow")).toMatchObject({ success: true, job: { state: "cancelled" } });
});

/** Lets a pull of `ollama` report what the test says. @returns the reporter */
function reporting(): (completedBytes: number) => void {
  let onProgress: ((progress: PullProgress) => void) | undefined;
  const pullModel = ollama.pullModel.bind(ollama);
  ollama.pullEnds = new Promise(() => undefined);
  ollama.pullModel = async (name, options) => {
    onProgress = options?.onProgress;
    await pullModel(name, options);
  };
  return (bytes) => {
    onProgress?.({ phase: "downloading", completedBytes: bytes, totalBytes: 1000, receivedBytes: bytes });
  };
}

test("progress is published at most twice a second", async () => {
  const report = reporting();
  await site.start("gpu-1", { ollama });
  await pull("id-1", "big");
  await site.clock.advance(1000);
  const before = (await site.state("gpu-1")).sequence;
  for (let i = 1; i <= 50; i++) {
    report(i * 10);
    await site.clock.advance(60);
  }
  const { sequence, jobs } = await site.state("gpu-1");
  // 3 s of progress: at most 6 for it, and 1 for the regular round.
  expect(sequence - before).toBeWithin(5, 9);
  expect(jobs[0]?.completed_bytes).toBeGreaterThan(400);
  expect(jobs[0]?.bytes_per_second).toBeWithin(100, 200);
});

test("progress is tried at most twice a second to be published also where that fails", async () => {
  const report = reporting();
  const { transport } = await site.start("gpu-1", { ollama });
  await pull("id-1", "big");
  await site.clock.advance(1000);
  let tried = 0;
  transport.publishState = async () => {
    tried += 1;
    return await Promise.reject(new CourierError("unavailable", "The share hangs"));
  };
  for (let i = 1; i <= 50; i++) {
    report(i * 10);
    await site.clock.advance(60);
  }
  expect(tried).toBeWithin(5, 9);
});
