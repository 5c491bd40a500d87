// Courier.loadModel() against real agents on the memory transport: what it sends, and how long it waits.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Courier } from "#src/courier.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { MemorySite, type RunningAgent, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
let courier: Courier;
let ollama: ScriptedOllama;
let agent: RunningAgent;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  await site.platform.connect();
  courier = new Courier(site.platform, { sender: "tester", timeoutMs: 30_000, clock: site.clock });
  agent = await site.start("gpu-1", { ollama });
});
afterEach(async () => {
  await courier.close();
  await site.close();
});

/** From now on a load lasts until it is called. */
function slowLoads(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  const load = ollama.loadModel.bind(ollama);
  ollama.loadModel = async (...args) => {
    await load(...args);
    await promise;
  };
  return resolve;
}

describe("loadModel()", () => {
  test("resolves with the loaded model when it is loaded", async () => {
    const loaded = await courier.loadModel("gpu-1", "phi4", { keepAlive: "1h30m" });
    expect(loaded).toMatchObject({ message: "loaded phi4:latest", running: [{ name: "phi4:latest" }] });
    expect(ollama.calls).toEqual(["load phi4:latest 5400"]);
    expect((await courier.listRunning()).running).toMatchObject([{ name: "phi4:latest" }]);
  });

  test("sends nothing for a keepAlive of 0", async () => {
    expect(await failure(courier.loadModel("gpu-1", "phi4", { keepAlive: "0s" }))).toMatchObject({ code: "invalid" });
    expect(ollama.calls).toEqual([]);
  });

  test("reports since when it is being loaded when time runs out, and the load goes on", async () => {
    const end = slowLoads();
    const loading = failure(courier.loadModel("gpu-1", "phi4"));
    await site.clock.advance(30_000);
    expect(await loading).toMatchObject({
      code: "deadline_exceeded",
      message: expect.stringMatching(/^No answer within 30 s: gpu-1 has been running it since 2026-/),
      hint: "It may still run: check before sending it again",
    });
    end();
    await settle();
    expect((await courier.listRunning()).running).toMatchObject([{ name: "phi4:latest" }]);
  });

  test("waits on while the agent reports that it loads, and resolves at the end", async () => {
    const end = slowLoads();
    const loading = courier.loadModel("gpu-1", "phi4", { whileRunningMs: Infinity });
    await site.clock.advance(600_000);
    end();
    expect(await loading).toMatchObject({ message: "loaded phi4:latest" });
    expect(ollama.calls).toEqual(["load phi4:latest 300"]);
  });

  test("waits no longer than it was asked to", async () => {
    slowLoads();
    const loading = failure(courier.loadModel("gpu-1", "phi4", { whileRunningMs: 70_000 }));
    await site.clock.advance(69_000);
    expect(await Promise.race([loading, settle().then(() => "waits")])).toBe("waits");
    await site.clock.advance(1_000);
    expect((await loading).message).toStartWith("No answer within 70 s: gpu-1 has been running it since ");
  });

  test("gives up when the agent that loads goes away", async () => {
    slowLoads();
    const loading = failure(courier.loadModel("gpu-1", "phi4", { whileRunningMs: Infinity }));
    await site.clock.advance(60_000);
    await site.kill(agent);
    await site.clock.advance(60_000);
    expect(await loading).toMatchObject({ code: "deadline_exceeded" });
  });

  test("waits no longer than otherwise for an agent that does not run it", async () => {
    site.store.subscriptions.clear();
    const loading = failure(courier.loadModel("gpu-1", "phi4", { whileRunningMs: Infinity }));
    await site.clock.advance(30_000);
    expect((await loading).message).toStartWith("No answer within 30 s: withdrawn before gpu-1 answered");
  });

  test("throws cancelled when its signal aborts meanwhile", async () => {
    slowLoads();
    const stop = new AbortController();
    const loading = failure(courier.loadModel("gpu-1", "phi4", { whileRunningMs: Infinity, signal: stop.signal }));
    await site.clock.advance(100_000);
    stop.abort();
    expect(await loading).toMatchObject({ code: "cancelled" });
  });
});
