// The verbs that list, show, copy and cancel, on the memory transport.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { OllamaError } from "#src/agent/ollama/ollama_error.ts";
import { isoTime } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { LIMITS, type Response } from "#src/protocol.ts";
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

/** Sends one command. @returns the response, or undefined when it has not arrived */
async function ask(command: string, fields: object = {}): Promise<Response | undefined> {
  commands += 1;
  const id = `id-${commands}`;
  await site.command("gpu-1", id, { command, ...fields });
  return site.replies.get(id);
}

async function jobStates(): Promise<string[]> {
  return (await site.state("gpu-1")).jobs.map(({ model, state }) => `${model} ${state}`);
}

function bytesOf(response: Response | undefined): number {
  return Buffer.byteLength(JSON.stringify(response));
}

function manyModels(count: number, nameLength = 30): typeof ollama.models {
  return Array.from({ length: count }, (_, i) => ({ ...PHI4, name: `${"m".repeat(nameLength)}-${i}:latest` }));
}

describe("pull_model", () => {
  test("records who asked and when, in the response, the state and the history", async () => {
    ollama.pullEnds = new Promise(() => undefined);
    await site.start("gpu-1", { ollama });
    const recorded = { requested_by: "gpuctl:alice@laptop", created_at: isoTime(site.clock.now()) };
    const answer = await ask("pull_model", { model_name: "gemma3", requested_by: "gpuctl:alice@laptop" });
    expect(answer?.job).toMatchObject(recorded);
    await site.clock.advance(10_000);
    expect((await site.state("gpu-1")).jobs).toMatchObject([recorded]);
    expect((await ask("list_jobs"))?.jobs).toMatchObject([recorded]);
  });
});

describe("an Ollama that does not answer", () => {
  test.each([
    ["delete_model", 'delete "phi4:latest"'],
    ["unload_model", 'unload "phi4:latest"'],
    ["copy_model", 'copy "phi4:latest" to "b:1"'],
    ["list_running", "list the loaded models"],
  ])("fails %s under the name of what was asked for, whichever step failed", async (command, deed) => {
    await site.start("gpu-1", { ollama });
    const failing = async (): Promise<never> => {
      throw new OllamaError("unavailable", "ask for anything", "Ollama does not answer (connection refused)");
    };
    for (const step of ["listRunning", "unloadModel", "copyModel"] as const) ollama[step] = failing;
    const answer = await ask(command, { model_name: "phi4:latest", arguments: { destination: "b:1" } });
    expect([answer?.code, answer?.error]).toEqual([
      "unavailable",
      `Cannot ${deed}: Ollama does not answer (connection refused)`,
    ]);
  });
});

describe("list_models", () => {
  test("answers a long list in pages, each within the limit, with every model", async () => {
    ollama.models = manyModels(50_000);
    await site.start("gpu-1", { ollama });
    const names: string[] = [];
    let pages = 0;
    for (let after: string | undefined; pages === 0 || after !== undefined; pages++) {
      const answer = await ask("list_models", after === undefined ? {} : { arguments: { after } });
      expect(bytesOf(answer)).toBeWithin(100_000, LIMITS.responseBytes + 1);
      names.push(...(answer?.models ?? []).map(({ name }) => name));
      after = answer?.truncated?.includes("models") === true ? names.at(-1) : undefined;
    }
    expect(pages).toBe(3);
    expect(names).toEqual(ollama.models.map(({ name }) => name));
  });

  test("answers a list that fits in one page, without `truncated`", async () => {
    ollama.models = manyModels(18_000);
    await site.start("gpu-1", { ollama });
    const answer = await ask("list_models");
    expect([answer?.models?.length, answer?.truncated]).toEqual([18_000, undefined]);
  });

  test("starts over when the model before the page is gone, and answers nothing after the last model", async () => {
    ollama.models = manyModels(3);
    await site.start("gpu-1", { ollama });
    const after = async (name: unknown): Promise<Response | undefined> =>
      await ask("list_models", { arguments: { after: name } });
    expect((await after("gone:latest"))?.models).toEqual(ollama.models);
    expect((await after(ollama.models[2]?.name))?.models).toEqual([]);
    expect(await after(7)).toMatchObject({ success: false, code: "invalid" });
  });

  test("sends a legacy backend the whole list: it has no limit", async () => {
    await site.listen("shared");
    ollama.models = manyModels(30_000);
    await site.start("gpu-1", { ollama });
    await site.clock.advance(6000);
    await site.send("shared", "list_models_1", { command: "list_models" });
    const answer = site.replies.get("list_models_1");
    expect([answer?.models?.length, answer?.truncated]).toEqual([30_000, undefined]);
  });
});

const never = new Promise<void>(() => undefined);

describe("show_model", () => {
  test("answers Ollama's details", async () => {
    await site.start("gpu-1", { ollama });
    const answer = await ask("show_model", { model_name: "phi4" });
    expect(answer?.show).toEqual({ details: { family: "phi3" }, capabilities: ["completion"], license: "MIT" });
    expect(await ask("show_model", { model_name: "nope" })).toMatchObject({ success: false, code: "not_found" });
  });

  test("answers the model's entry of the list too, even if the last list does not have it", async () => {
    await site.start("gpu-1", { ollama });
    expect((await ask("show_model", { model_name: "PHI4" }))?.models).toBeUndefined();
    expect((await ask("show_model", { model_name: "phi4" }))?.models).toEqual([PHI4]);
    const copy = { ...PHI4, name: "copy:latest" };
    ollama.models = [copy, PHI4];
    expect((await ask("show_model", { model_name: "copy" }))?.models).toEqual([copy]);
  });

  test.each(["x", "é", "\u0001", "\u{1F600}"])("fits into a response when the details are full of %j", async (char) => {
    const many = (value: string): Record<string, string> =>
      Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`key-${i}`, value]));
    const text = char.repeat(1_000_000);
    ollama.showModel = async () =>
      await Promise.resolve({
        details: many(char.repeat(600)),
        capabilities: Array<string>(10_000).fill(char.repeat(100)),
        parameters: text,
        template: text,
        license: text,
        model_info: many(char.repeat(600)),
      });
    await site.start("gpu-1", { ollama });
    const answer = await ask("show_model", { model_name: "phi4" });
    expect(bytesOf(answer)).toBeWithin(1_000_000, LIMITS.responseBytes - 64 * 1024);
  });

  test("cuts texts and omits long values, so that the response fits", async () => {
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

describe("a model that ollama.com runs", () => {
  const CLOUD = { ...PHI4, name: "gpt-oss:120b-cloud" };

  test("is shown only if it is installed: Ollama asks ollama.com for any", async () => {
    let asked = 0;
    ollama.showModel = async () => await Promise.resolve({ capabilities: [`answer ${(asked += 1)}`] });
    await site.start("gpu-1", { ollama });
    expect(await ask("show_model", { model_name: "gpt-oss:120b-Cloud" })).toMatchObject({ code: "not_found" });
    expect(asked).toBe(0);
    ollama.models = [CLOUD];
    expect(await ask("show_model", { model_name: "gpt-oss:120b-Cloud" })).toMatchObject({
      success: true,
      models: [CLOUD],
    });
    expect(asked).toBe(1);
  });

  test("is not unloaded: Ollama would ask ollama.com to generate", async () => {
    await site.start("gpu-1", { ollama });
    expect(await ask("unload_model", { model_name: "gpt-oss:cloud" })).toMatchObject({ code: "invalid" });
    expect(ollama.calls).toEqual([]);
  });
});

describe("list_running", () => {
  test("names a list that does not fit, and keeps the first models", async () => {
    ollama.running = Array.from({ length: 50_000 }, (_, i) => ({ ...RUNNING, name: `model-${i}:latest` }));
    await site.start("gpu-1", { ollama });
    const answer = await ask("list_running");
    expect(answer?.truncated).toEqual(["running"]);
    expect(answer?.running?.[0]?.name).toBe("model-0:latest");
    expect(bytesOf(answer)).toBeWithin(3_000_000, LIMITS.responseBytes + 1);
  });

  test("answers the models in memory now, and the state shows them too", async () => {
    await site.start("gpu-1", { ollama });
    ollama.running = [RUNNING];
    expect((await ask("list_running"))?.running).toEqual([RUNNING]);
    await settle();
    expect((await site.state("gpu-1")).running).toEqual([RUNNING]);
  });

  test("is unavailable when Ollama is unavailable", async () => {
    await site.start("gpu-1", { ollama });
    ollama.listRunning = async () => await Promise.reject(new CourierError("unavailable", "Ollama is down"));
    expect(await ask("list_running")).toMatchObject({ success: false, code: "unavailable" });
  });
});

describe("copy_model", () => {
  test("gives the model a second name, which is in the list before the response", async () => {
    await site.start("gpu-1", { ollama });
    const answer = await ask("copy_model", { model_name: "phi4", arguments: { destination: "team/best" } });
    expect(answer?.message).toBe("Copied model phi4:latest to team/best:latest");
    expect((await site.state("gpu-1")).models?.map(({ name }) => name)).toContain("team/best:latest");
  });

  test("is refused onto a model that is being pulled, in any spelling: the end of the pull would undo it", async () => {
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
    expect((await ask("unload_model", { model_name: "phi4" }))?.message).toBe("unloaded phi4:latest");
    expect((await site.state("gpu-1")).running).toEqual([]);
    expect((await ask("unload_model", { model_name: "phi4" }))?.message).toBe("phi4:latest was not loaded");
  });

  test("reports that a busy model will be unloaded later", async () => {
    ollama.running = [RUNNING];
    ollama.unloadModel = async () => await Promise.resolve();
    await site.start("gpu-1", { ollama });
    expect(await ask("unload_model", { model_name: "phi4" })).toBeUndefined();
    await site.clock.advance(6000);
    expect(site.replies.get(`id-${commands}`)?.message).toContain("will be unloaded when its current request finishes");
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
    ledger.sweep(0, 0);
    expect(ledger.jobs().length).toBe(200);
  });
});

describe("pull_model", () => {
  test("runs at most --max-pulls at a time, and the rest in order", async () => {
    ollama.pullEnds = never;
    await site.start("gpu-1", { ollama, maxPulls: 2 });
    for (const model_name of ["a", "b", "c"]) await ask("pull_model", { model_name });
    expect(await jobStates()).toEqual(["a:latest running", "b:latest running", "c:latest queued"]);
    expect(ollama.calls).toEqual(["pull a:latest", "pull b:latest"]);
  });

  test("shows the reason for the wait and the number of retries in the state", async () => {
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

  test("ends a job for all callers that joined it, and the next in the queue starts", async () => {
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

  test("answers a cancelled job again as it is, and conflict for a job that ended otherwise", async () => {
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

  test("gives a pull right after it a new job", async () => {
    ollama.pullEnds = never;
    await site.start("gpu-1", { ollama, maxPulls: 2 });
    const id = await pull("a");
    const cancelled = ask("cancel_job", { arguments: { job_id: id } });
    const next = await pull("a");
    await cancelled;
    expect(next).not.toBe(id);
    expect(await jobStates()).toEqual(["a:latest cancelled", "a:latest running"]);
  });

  test("stays cancelled after a restart", async () => {
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
