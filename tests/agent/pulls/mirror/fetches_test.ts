// fetch_model: an agent that brings models into the mirror, one at a time, over failures, cancels and restarts.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CourierError } from "#src/base/errors.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import type { Fetch, Response } from "#src/protocol.ts";
import type { Fetched } from "#src/transport/mirror/fetching.ts";
import { WrongBlob } from "#src/transport/mirror/writing.ts";
import { seriesOf } from "#tests/server/metrics/series.ts";
import { MemorySite, type RunningAgent } from "#tests/support/sites/agent_on_memory.ts";

const FETCH = { command: "fetch_model", model_name: "phi4" };
const HOUR_MS = 3_600_000;

/** Each fetch lasts until the test ends it. */
class ScriptedSource {
  readonly calls: string[] = [];
  #end = Promise.withResolvers<Fetched>();
  #report: ((progress: Fetched) => void) | undefined;

  async fetch(model: string, signal: AbortSignal, onProgress: (progress: Fetched) => void): Promise<Fetched> {
    this.calls.push(model);
    this.#end = Promise.withResolvers();
    this.#report = onProgress;
    signal.addEventListener("abort", () => this.#end.reject(new CourierError("cancelled", "Stopped")));
    return await this.#end.promise;
  }

  report(completedBytes: number, receivedBytes = completedBytes): void {
    this.#report?.({ completedBytes, totalBytes: 1000, receivedBytes });
  }

  succeed(): void {
    this.#end.resolve({ completedBytes: 1000, totalBytes: 1000, receivedBytes: 1000 });
  }

  fail(error: CourierError): void {
    this.#end.reject(error);
  }
}

let site: MemorySite;
let source: ScriptedSource;
let commands = 0;
beforeEach(async () => {
  site = new MemorySite();
  source = new ScriptedSource();
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

async function start(dir?: string): Promise<RunningAgent> {
  return await site.start("gpu-1", { mirrorSource: source, ...(dir === undefined ? {} : { dir }) });
}

async function ask(fields: object): Promise<Response | undefined> {
  commands += 1;
  const id = `id-${commands}`;
  await site.command("gpu-1", id, fields);
  return site.replies.get(id);
}

/** As the state shows them. */
async function fetches(): Promise<readonly Fetch[]> {
  await site.clock.advance(1000);
  return (await site.state("gpu-1")).fetches ?? [];
}

async function cancel(id = ""): Promise<Response | undefined> {
  return await ask({ command: "cancel_job", arguments: { job_id: id } });
}

const away = (): CourierError => new CourierError("unavailable", "registry.ollama.ai answers 503");

describe("fetch_model", () => {
  test("is forbidden where the agent is no source, and its state shows no fetches", async () => {
    await site.start("gpu-1");
    const answer = await ask(FETCH);
    expect(answer).toMatchObject({ code: "forbidden", hint: expect.stringContaining("--mirror-source") });
    expect((await site.state("gpu-1")).fetches).toBeUndefined();
  });

  test("is forbidden for a registry that is not allowed", async () => {
    const registries = new AllowedRegistries({ agent: "gpu-1", allowed: ["registry.ollama.ai"], insecure: [] });
    await site.start("gpu-1", { mirrorSource: source, registries });
    expect(await ask({ ...FETCH, model_name: "evil.example/me/m" })).toMatchObject({ code: "forbidden" });
    expect(source.calls).toEqual([]);
  });

  test("answers at once, and the state follows the fetch until it has ended, and for an hour", async () => {
    await start();
    expect((await site.state("gpu-1")).fetches).toEqual([]);
    const answer = await ask(FETCH);
    expect(answer).toMatchObject({ success: true, fetch: { model: "phi4:latest", completed_bytes: 0 } });
    source.report(100);
    await site.clock.advance(1000);
    source.report(300);
    expect(await fetches()).toMatchObject([
      { state: "running", completed_bytes: 300, total_bytes: 1000, bytes_per_second: 200 },
    ]);
    source.succeed();
    const [ended] = await fetches();
    expect(ended).toMatchObject({ id: answer?.fetch?.id, state: "succeeded", completed_bytes: 1000, code: null });
    expect(ended?.bytes_per_second).toBeNull();
    await site.clock.advance(HOUR_MS + 10_000);
    expect(await fetches()).toEqual([]);
  });

  test("joins the fetch of the model that is under way, and another model waits", async () => {
    await start();
    const first = await ask(FETCH);
    const second = await ask({ ...FETCH, model_name: "PHI4:latest" });
    expect(second?.fetch?.id).toBe(first?.fetch?.id ?? "");
    await ask({ ...FETCH, model_name: "qwen3" });
    expect((await fetches()).map(({ state }) => state)).toEqual(["running", "queued"]);
    source.succeed();
    expect((await fetches()).map(({ state }) => state)).toEqual(["succeeded", "running"]);
    expect(source.calls).toEqual(["phi4:latest", "qwen3:latest"]);
  });

  test("tries again after growing pauses while nothing can be reached, lets others go first, and gives up after an hour", async () => {
    await start();
    await ask(FETCH);
    await ask({ ...FETCH, model_name: "qwen3" });
    source.fail(away());
    expect(await fetches()).toMatchObject([
      { state: "queued", error: "registry.ollama.ai answers 503" },
      { model: "qwen3:latest", state: "running" },
    ]);
    source.succeed();
    for (let attempts = 0; source.calls.at(-1) === "qwen3:latest"; attempts++) {
      expect(attempts).toBeLessThan(20);
      await site.clock.advance(1000);
    }
    let count = 0;
    for (; (await fetches())[0]?.state !== "failed"; count++) {
      expect(count).toBeLessThan(40);
      source.fail(away());
      await site.clock.advance(300_000);
    }
    expect(count).toBeGreaterThan(10);
    expect(await fetches()).toMatchObject([{ state: "failed", code: "unavailable" }]);
  });

  test("a new byte starts the hour and the pauses again", async () => {
    await start();
    await ask(FETCH);
    for (let bytes = 1; bytes <= 30; bytes++) {
      source.report(bytes);
      source.fail(away());
      expect((await fetches())[0]?.state).toBe("queued");
      await site.clock.advance(300_000);
    }
    expect(await fetches()).toMatchObject([{ state: "running", completed_bytes: 30 }]);
  });

  test.each([
    ["forbidden", new CourierError("forbidden", "registry.example asks for a login")],
    ["exhausted", new CourierError("exhausted", "The share is full")],
    ["not_found", new CourierError("not_found", "no such model")],
    ["unavailable", new WrongBlob(`sha256:${"a".repeat(64)}`, "it sends wrong bytes")],
  ])("fails at once for what no other attempt changes: %s", async (code, error) => {
    await start();
    await ask(FETCH);
    source.fail(error);
    expect(await fetches()).toMatchObject([{ state: "failed", code, error: expect.stringContaining(error.message) }]);
  });

  test("cancel_job ends a fetch, running or queued, once", async () => {
    await start();
    const running = await ask(FETCH);
    const queued = await ask({ ...FETCH, model_name: "qwen3" });
    expect(await cancel(queued?.fetch?.id)).toMatchObject({ fetch: { state: "cancelled", model: "qwen3:latest" } });
    expect(await cancel(running?.fetch?.id)).toMatchObject({
      success: true,
      message: "Cancelled fetching model phi4:latest into the mirror",
      fetch: { state: "cancelled", error: "Cancelled: what was fetched is kept for the next time" },
    });
    expect(await cancel(running?.fetch?.id)).toMatchObject({ success: true });
    const done = await ask(FETCH);
    source.succeed();
    expect(await fetches()).toHaveLength(3);
    expect(await cancel(done?.fetch?.id)).toMatchObject({ code: "conflict" });
    expect(await cancel("nothing")).toMatchObject({ code: "not_found" });
  });

  test("goes on after a crash, with its id, and what is queued waits again", async () => {
    const dir = site.stateDir();
    const agent = await start(dir);
    const answer = await ask(FETCH);
    await ask({ ...FETCH, model_name: "qwen3" });
    await site.kill(agent);
    source = new ScriptedSource();
    await start(dir);
    expect(source.calls).toEqual(["phi4:latest"]);
    expect(await fetches()).toMatchObject([
      { id: answer?.fetch?.id, state: "running" },
      { model: "qwen3:latest", state: "queued" },
    ]);
  });

  test("an agent that stops and starts again continues, and an ended one stays ended", async () => {
    const dir = site.stateDir();
    const agent = await start(dir);
    await ask(FETCH);
    source.succeed();
    await fetches();
    await ask({ ...FETCH, model_name: "qwen3" });
    agent.stop.abort();
    await site.clock.advance(10_000);
    await agent.ended;
    agent.ledger.close();
    source = new ScriptedSource();
    await start(dir);
    expect(source.calls).toEqual(["qwen3:latest"]);
    expect((await fetches()).map(({ state }) => state)).toEqual(["succeeded", "running"]);
  });

  test("--metrics-file counts the fetches of a source by state, and no others", async () => {
    const metricsFile = join(site.stateDir(), "box.prom");
    await site.start("gpu-1", { mirrorSource: source, metricsFile });
    await ask(FETCH);
    await ask({ ...FETCH, model_name: "qwen3" });
    source.fail(away());
    await ask({ ...FETCH, model_name: "gemma3" });
    await site.clock.advance(5_000);
    const series = seriesOf(readFileSync(metricsFile, "utf8"));
    const count = (state: string) => series.get(`gpu_courier_agent_fetches{agent="gpu-1",state="${state}"}`);
    expect(["queued", "waiting", "running"].map(count)).toEqual([1, 1, 1]);
    await site.start("gpu-2", { metricsFile });
    expect(readFileSync(metricsFile, "utf8")).not.toContain("agent_fetches");
  });

  test("refuses more than 100 at a time, and shows 20", async () => {
    await start();
    for (let count = 1; count <= 100; count++)
      expect((await ask({ ...FETCH, model_name: `m${count}` }))?.success).toBe(true);
    expect(await ask({ ...FETCH, model_name: "m101" })).toMatchObject({ code: "exhausted" });
    expect(await fetches()).toHaveLength(20);
  });
});
