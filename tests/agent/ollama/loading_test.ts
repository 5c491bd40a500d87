// loadModel() against a simulated Ollama: models that only make embeddings, slow disks, and what Ollama refuses.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type SimulatedOllama, startSimulatedOllama } from "#sim/ollama/ollama.ts";
import { Ollama } from "#src/agent/ollama/ollama.ts";
import { failure } from "#tests/support/failure.ts";

let simulation: SimulatedOllama;
let ollama: Ollama;
beforeEach(async () => {
  simulation = await startSimulatedOllama({
    installed: [
      { name: "m", layers: [10] },
      { name: "embeds", layers: [10], capabilities: ["embedding"] },
    ],
  });
  ollama = new Ollama({ url: simulation.url });
});
afterEach(async () => await simulation.stop());

const running = async (): Promise<string[]> => (await ollama.listRunning()).map(({ name }) => name);

describe("loadModel()", () => {
  test("loads a model that only makes embeddings", async () => {
    await ollama.loadModel("embeds:latest", { keepAliveSeconds: 3600 });
    const [loaded] = await ollama.listRunning();
    expect(loaded?.name).toBe("embeds:latest");
    expect(Date.parse(loaded?.expires_at ?? "") - Date.now()).toBeGreaterThan(3_000_000);
    expect(simulation.counters.requests).toMatchObject({ "POST /api/generate": 1, "POST /api/embed": 1 });
  });

  test("makes no embedding of a model that generates", async () => {
    await ollama.loadModel("m:latest");
    expect(simulation.counters.requests["POST /api/embed"]).toBeUndefined();
    expect(await running()).toEqual(["m:latest"]);
  });

  test("waits for a load that takes longer than other answers may", async () => {
    simulation.faults.loadDelayMs = 400;
    await new Ollama({ url: simulation.url, requestTimeoutMs: 100 }).loadModel("m:latest");
    expect(await running()).toEqual(["m:latest"]);
  });

  test("throws cancelled when its signal aborts", async () => {
    Object.assign(simulation.faults, { answer: "hang", answerTo: "POST /api/generate" });
    const stop = new AbortController();
    const loading = failure(ollama.loadModel("m:latest", { signal: stop.signal }));
    stop.abort();
    expect(await loading).toMatchObject({ code: "cancelled" });
  });

  test.each([
    [
      500,
      "model requires more system memory (90.0 GiB) than is available (12.1 GiB)",
      "exhausted",
      "Unload other models",
    ],
    [500, "unable to load full model on GPU", "exhausted", "Unload other models"],
    [500, "timed out waiting for llama-server to start - progress 0.00", "unavailable", "set OLLAMA_LOAD_TIMEOUT"],
    [500, "llama-server process has terminated: exit status 2", "internal", undefined],
    [503, "server busy, please try again. maximum pending requests exceeded", "unavailable", undefined],
    [400, '"m" does not support thinking', "invalid", undefined],
  ] as const)("throws for status %d and %j the code %s, with Ollama's words", async (status, error, code, hint) => {
    Object.assign(simulation.faults, { answer: { status, error }, answerTo: "POST /api/generate" });
    const thrown = await failure(ollama.loadModel("m:latest"));
    expect([thrown.code, thrown.message]).toEqual([code, `Cannot load "m:latest": Ollama says: ${error}`]);
    expect(thrown.hint).toEqual(hint === undefined ? undefined : expect.stringContaining(hint));
    expect(simulation.counters.requests["POST /api/embed"]).toBeUndefined();
  });
});
