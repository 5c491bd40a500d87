// load_model: what it asks of Ollama, what it refuses, and what goes on beside a load that takes minutes.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import type { Response } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

const LOAD = { command: "load_model", model_name: "phi4" };

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
async function ask(fields: object): Promise<Response | undefined> {
  commands += 1;
  const id = `id-${commands}`;
  await site.command("gpu-1", id, fields);
  return site.replies.get(id);
}

/** From now on a load lasts until it is called. */
function slowLoads(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  const load = ollama.loadModel.bind(ollama);
  ollama.loadModel = async (model, options) => {
    await load(model, options);
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    options?.signal?.addEventListener("abort", () => reject(new CourierError("cancelled", "Cannot load: cancelled")));
    await Promise.race([promise, stopped]);
  };
  return resolve;
}

describe("load_model", () => {
  test("answers with the running model when it is loaded, and the state shows it", async () => {
    await site.start("gpu-1", { ollama });
    const answer = await ask(LOAD);
    expect(answer).toMatchObject({ success: true, message: "loaded phi4:latest", running: [{ name: "phi4:latest" }] });
    expect((await site.state("gpu-1")).running).toMatchObject([{ name: "phi4:latest" }]);
    expect(ollama.calls).toEqual(["load phi4:latest 300"]);
  });

  test.each([
    [600, 600],
    ["10m", 600],
    ["-1", -1],
    [null, 300],
  ])("with the keep_alive %p lets it stay for %d s", async (keep_alive, seconds) => {
    await site.start("gpu-1", { ollama });
    expect(await ask({ ...LOAD, arguments: { keep_alive } })).toMatchObject({ success: true });
    expect(ollama.calls).toEqual([`load phi4:latest ${seconds}`]);
  });

  test.each([[0], ["0s"], ["soon"], [{}], [1e12]])("with the keep_alive %p is invalid", async (keep_alive) => {
    await site.start("gpu-1", { ollama });
    expect(await ask({ ...LOAD, arguments: { keep_alive } })).toMatchObject({ code: "invalid" });
    expect(ollama.calls).toEqual([]);
  });

  test("is not found without the model", async () => {
    await site.start("gpu-1", { ollama });
    expect(await ask({ ...LOAD, model_name: "zz" })).toMatchObject({ code: "not_found" });
  });

  test("is invalid for a model that another host runs: Ollama would ask that one to generate", async () => {
    await site.start("gpu-1", { ollama });
    // After the agent has listed the models.
    ollama.models = [PHI4, { ...PHI4, name: "far:1b", remote_model: "far", remote_host: "https://far.example:443" }];
    for (const model_name of ["gpt-oss:cloud", "gpt-oss:20b-cloud", "far:1b"])
      expect(await ask({ ...LOAD, model_name })).toMatchObject({ code: "invalid" });
    expect(ollama.calls).toEqual([]);
  });

  test("answers with the reason when Ollama cannot load it", async () => {
    await site.start("gpu-1", { ollama });
    const error = new CourierError("internal", "Ollama says: model requires more system memory");
    ollama.loadModel = async () => await Promise.reject(error);
    expect(await ask(LOAD)).toMatchObject({ code: "internal", error: expect.stringContaining("more system memory") });
  });
});

describe("a load that takes minutes", () => {
  test("is listed among the commands of the state, and answered at its end", async () => {
    await site.start("gpu-1", { ollama });
    const end = slowLoads();
    expect(await ask(LOAD)).toBeUndefined();
    await site.clock.advance(120_000);
    expect((await site.state("gpu-1")).commands).toMatchObject([{ command: "load_model" }]);
    end();
    await settle();
    expect(site.replies.get(`id-${commands}`)).toMatchObject({ success: true });
  });

  test("leaves the places of other changing commands free, however many loads there are", async () => {
    ollama.models = Array.from({ length: 20 }, (_, i) => ({ ...PHI4, name: `m${i}:latest` }));
    await site.start("gpu-1", { ollama });
    slowLoads();
    for (let i = 0; i < 20; i++) expect(await ask({ ...LOAD, model_name: `m${i}` })).toBeUndefined();
    expect(await ask({ command: "copy_model", model_name: "zz", arguments: { destination: "copy" } })).toMatchObject({
      success: true,
    });
  });

  test("holds up commands for the same model for 5 s, and then no longer", async () => {
    await site.start("gpu-1", { ollama });
    slowLoads();
    await ask(LOAD);
    const copy = { command: "copy_model", model_name: "phi4", arguments: { destination: "copy" } };
    expect(await ask(copy)).toBeUndefined();
    await site.clock.advance(4_000);
    expect(ollama.calls).toEqual(["load phi4:latest 300"]);
    await site.clock.advance(2_000);
    expect(site.replies.get(`id-${commands}`)).toMatchObject({ success: true });
    expect(site.replies.get(`id-${commands - 1}`)).toBeUndefined();
  });

  test.each([
    ["unload_model", "unloaded phi4:latest", "unload phi4:latest"],
    ["delete_model", "Successfully deleted model phi4:latest", "delete phi4:latest"],
  ])("ends at %s: Ollama would load the model after it", async (command, message, call) => {
    await site.start("gpu-1", { ollama });
    slowLoads();
    // As of v0.32.15 it does not list a model before it is loaded.
    ollama.listRunning = async () => await Promise.resolve([]);
    await ask(LOAD);
    await ask(LOAD);
    await ask({ command, model_name: "phi4" });
    await site.clock.advance(6_000);
    expect(site.replies.get(`id-${commands}`)).toMatchObject({ success: true, message });
    expect(ollama.calls.at(-1)).toBe(call);
    for (const earlier of [1, 2])
      expect(site.replies.get(`id-${commands - earlier}`)).toMatchObject({
        code: "conflict",
        error: expect.stringContaining("it was unloaded before it was loaded"),
      });
  });

  test("is not begun a second time by a command with the same id", async () => {
    await site.start("gpu-1", { ollama });
    const end = slowLoads();
    await site.command("gpu-1", "same", LOAD);
    await site.clock.advance(10_000);
    await site.command("gpu-1", "same", LOAD);
    await site.clock.advance(10_000);
    end();
    await settle();
    expect(ollama.calls).toEqual(["load phi4:latest 300"]);
  });

  test("runs again after a crash, and is answered once", async () => {
    const dir = site.stateDir();
    const first = await site.start("gpu-1", { ollama, dir });
    slowLoads();
    await ask(LOAD);
    await site.kill(first);
    const next = new ScriptedOllama();
    await site.start("gpu-1", { ollama: next, dir });
    await site.clock.advance(10_000);
    expect(next.calls).toEqual(["load phi4:latest 300"]);
    expect(site.replies.get(`id-${commands}`)).toMatchObject({ success: true });
  });
});
