// The verbs about models in memory, copies and jobs, and cancelled jobs, on the memory transport.
// Imports the agent on memory, errors.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { isoTime } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import type { Response } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

const RUNNING = { name: PHI4.name, size: 20, size_vram: 10, expires_at: "2026-01-02T03:09:05Z" };

let site: MemorySite;
let ollama: ScriptedOllama;
let commands = 0;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

/** Sends one command. @returns its answer, or undefined when there is none yet */
async function ask(command: string, fields: object = {}): Promise<Response | undefined> {
  commands += 1;
  const id = `id-${commands}`;
  await site.command("gpu-1", id, { command, ...fields });
  return site.replies.get(id);
}

async function jobStates(): Promise<string[]> {
  return (await site.state("gpu-1")).jobs.map(({ model, state }) => `${model} ${state}`);
}

const never = new Promise<void>(() => undefined);

describe("show_model", () => {
  test("answers what Ollama knows", async () => {
    await site.start("gpu-1", { ollama });
    const answer = await ask("show_model", { model_name: "phi4" });
    expect(answer?.show).toEqual({ details: { family: "phi3" }, capabilities: ["completion"], license: "MIT" });
    expect(await ask("show_model", { model_name: "nope" })).toMatchObject({ success: false, code: "not_found" });
  });

  test("cuts texts and leaves long values out, so that the answer fits", async () => {
    ollama.showModel = async () =>
      await Promise.resolve({
        license: "x".repeat(5_000_000),
        template: "t",
        model_info: { "general.architecture": "phi3", "tokenizer.ggml.tokens": Array(100_000).fill("token") },
      });
    await site.start("gpu-1", { ollama });
    const show = (await ask("show_model", { model_name: "phi4" }))?.show;
    expect(show?.license?.length).toBe(262_144);
    expect(show).toMatchObject({ template: "t", model_info: { "general.architecture": "phi3" } });
    expect(Object.keys(show?.model_info ?? {})).toEqual(["general.architecture"]);
  });
});

describe("list_running", () => {
  test("answers what is in memory now, and the state shows it too", async () => {
    await site.start("gpu-1", { ollama });
    ollama.running = [RUNNING];
    expect((await ask("list_running"))?.running).toEqual([RUNNING]);
    await settle();
    expect((await site.state("gpu-1")).running).toEqual([RUNNING]);
  });

  test("is unavailable when Ollama is", async () => {
    await site.start("gpu-1", { ollama });
    ollama.listRunning = async () => await Promise.reject(new CourierError("unavailable", "Ollama is down"));
    expect(await ask("list_running")).toMatchObject({ success: false, code: "unavailable" });
  });
});

describe("copy_model", () => {
  test("gives the model a second name, which is in the list when it is answered", async () => {
    await site.start("gpu-1", { ollama });
    const answer = await ask("copy_model", { model_name: "phi4", arguments: { destination: "team/best" } });
    expect(answer?.message).toBe("Copied model phi4:latest to team/best:latest");
    expect((await site.state("gpu-1")).models?.map(({ name }) => name)).toContain("team/best:latest");
  });

  test("is refused onto what is being pulled, however it is spelled: the end of the pull would undo it", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    await site.start("gpu-1", { ollama });
    const { job } = (await ask("pull_model", { model_name: "team/best" })) ?? {};
    const copied = { model_name: "phi4", arguments: { destination: "TEAM/Best:latest" } };
    const refused = await ask("copy_model", copied);
    expect(refused).toMatchObject({ success: false, code: "conflict" });
    expect(refused?.hint).toContain(job?.id ?? "no job");
    expect(ollama.calls).toEqual(["pull team/best:latest"]);
    await ask("cancel_job", { arguments: { job_id: job?.id } });
    expect(await ask("copy_model", copied)).toMatchObject({ success: true });
  });

  test.each([[{}], [{ arguments: { destination: 7 } }], [{ arguments: { destination: "a b" } }]])(
    "is invalid with %j",
    async (fields) => {
      await site.start("gpu-1", { ollama });
      expect(await ask("copy_model", { model_name: "phi4", ...fields })).toMatchObject({ code: "invalid" });
      expect(ollama.calls).toEqual([]);
    },
  );
});

describe("unload_model", () => {
  test("answers when the model is out of memory", async () => {
    ollama.running = [RUNNING];
    await site.start("gpu-1", { ollama });
    expect((await ask("unload_model", { model_name: "phi4" }))?.message).toBe("Unloaded model phi4:latest");
    expect((await site.state("gpu-1")).running).toEqual([]);
  });

  test("says that a busy model is unloaded later", async () => {
    ollama.running = [RUNNING];
    ollama.unloadModel = async () => await Promise.resolve();
    await site.start("gpu-1", { ollama });
    expect(await ask("unload_model", { model_name: "phi4" })).toBeUndefined();
    await site.clock.advance(6000);
    expect(site.replies.get(`id-${commands}`)?.message).toContain("when it has done what it is at");
  });
});

describe("list_jobs", () => {
  test("answers more ended jobs than the state shows, the newest last, and 200 at most", async () => {
    const { ledger } = await site.start("gpu-1", { ollama });
    for (let i = 0; i < 230; i++) await ask("pull_model", { model_name: `m${i}` });
    await settle();
    const jobs = (await ask("list_jobs"))?.jobs ?? [];
    expect(jobs.map(({ model }) => model)).toEqual(Array.from({ length: 200 }, (_, i) => `m${i + 30}:latest`));
    const shown = (await site.state("gpu-1")).jobs.map(({ model }) => model);
    expect(shown).toEqual(Array.from({ length: 20 }, (_, i) => `m${i + 210}:latest`));
    ledger.sweep(0);
    expect(ledger.jobs().length).toBe(200);
  });
});

describe("pull_model", () => {
  test("runs as many at a time as it may, the rest in order", async () => {
    ollama.pullEnds = never;
    await site.start("gpu-1", { ollama, maxPulls: 2 });
    for (const model_name of ["a", "b", "c"]) await ask("pull_model", { model_name });
    expect(await jobStates()).toEqual(["a:latest running", "b:latest running", "c:latest queued"]);
    expect(ollama.calls).toEqual(["pull a:latest", "pull b:latest"]);
  });

  test("shows why it waits and how often it was tried, in the state", async () => {
    ollama.pullEnds = Promise.reject(new CourierError("unavailable", 'Cannot pull "a": Ollama is away'));
    ollama.pullEnds.catch(() => undefined);
    await site.start("gpu-1", { ollama });
    await ask("pull_model", { model_name: "a" });
    await site.clock.advance(4000);
    const [job] = (await site.state("gpu-1")).jobs;
    expect(job).toMatchObject({ state: "queued", phase: null, retries: 2, completed_bytes: 30 });
    expect(job?.note).toBe("retrying in 4 s: Ollama is away");
    expect(job).toMatchObject({ retry_at: isoTime(site.clock.now() + 3000), waiting_for: "retrying: Ollama is away" });
    ollama.pullEnds = Promise.resolve();
    await site.clock.advance(4000);
    expect((await site.state("gpu-1")).jobs[0]).toMatchObject({
      state: "succeeded",
      note: null,
      phase: null,
      retries: 3,
    });
  });
});

describe("cancel_job", () => {
  /** @returns its id */
  async function pull(model_name: string): Promise<string> {
    return (await ask("pull_model", { model_name }))?.job?.id ?? "";
  }

  test("ends a job for all who joined it, and the next in the queue begins", async () => {
    ollama.pullEnds = never;
    await site.start("gpu-1", { ollama });
    const id = await pull("a");
    expect(await pull("A:latest")).toBe(id);
    await pull("b");
    const answer = await ask("cancel_job", { arguments: { job_id: id } });
    expect(answer).toMatchObject({ success: true, message: "Cancelled pulling model a:latest" });
    expect(answer?.job).toMatchObject({ id, state: "cancelled", code: "cancelled", error: "Cancelled", phase: null });
    expect(await jobStates()).toEqual(["a:latest cancelled", "b:latest running"]);
  });

  test("ends a queued job without Ollama", async () => {
    ollama.pullEnds = never;
    await site.start("gpu-1", { ollama });
    await pull("a");
    const answer = await ask("cancel_job", { arguments: { job_id: await pull("b") } });
    expect(answer?.job).toMatchObject({ state: "cancelled", error: "Cancelled before it began", started_at: null });
    expect(ollama.calls).toEqual(["pull a:latest"]);
  });

  test("answers the same again for a job that was cancelled, conflict for one that ended otherwise", async () => {
    await site.start("gpu-1", { ollama });
    const ended = await pull("a");
    await settle();
    expect(await ask("cancel_job", { arguments: { job_id: ended } })).toMatchObject({
      code: "conflict",
      error: "Cannot cancel the pull of a:latest: it has succeeded",
    });
    ollama.pullEnds = never;
    const id = await pull("b");
    for (let i = 0; i < 2; i++) {
      expect((await ask("cancel_job", { arguments: { job_id: id } }))?.job).toMatchObject({ id, state: "cancelled" });
    }
  });

  test.each([
    [{ arguments: { job_id: "01a20a6c-0000-7000-8000-000000000000" } }, "not_found"],
    [{ arguments: { job_id: "../x" } }, "invalid"],
    [{}, "invalid"],
  ])("refuses %j with %s", async (fields, code) => {
    await site.start("gpu-1", { ollama });
    expect(await ask("cancel_job", fields)).toMatchObject({ success: false, code });
  });

  test("gives a pull right after it a job of its own", async () => {
    ollama.pullEnds = never;
    await site.start("gpu-1", { ollama, maxPulls: 2 });
    const id = await pull("a");
    const cancelled = ask("cancel_job", { arguments: { job_id: id } });
    const next = await pull("a");
    await cancelled;
    expect(next).not.toBe(id);
    expect(await jobStates()).toEqual(["a:latest cancelled", "a:latest running"]);
  });

  test("stays cancelled over a restart", async () => {
    ollama.pullEnds = never;
    const dir = site.stateDir();
    const first = await site.start("gpu-1", { ollama, dir });
    const id = await pull("a");
    await ask("cancel_job", { arguments: { job_id: id } });
    first.stop.abort();
    await first.ended;
    first.ledger.close();
    await site.start("gpu-1", { ollama, dir });
    await site.clock.advance(100);
    expect(await jobStates()).toEqual(["a:latest cancelled"]);
    expect(ollama.calls).toEqual(["pull a:latest"]);
  });
});
