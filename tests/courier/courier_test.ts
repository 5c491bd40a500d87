// src/courier, with real agents on the memory transport.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { newestPerName } from "#src/courier/models.ts";
import { Courier } from "#src/courier.ts";
import type { Job } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { FailingDisk } from "#tests/support/disk/failing_disk.ts";
import { failure } from "#tests/support/failure.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
let courier: Courier;
beforeEach(async () => {
  site = new MemorySite();
  await site.platform.connect();
  courier = new Courier(site.platform, { sender: "tester", timeoutMs: 30_000, clock: site.clock });
});
afterEach(async () => {
  await courier.close();
  await site.close();
});

/** Lets time pass for a call that waits. */
async function after<Value>(ms: number, call: Promise<Value>): Promise<Value> {
  call.catch(() => undefined);
  await site.clock.advance(ms);
  return await call;
}

describe("request()", () => {
  test("resolves with the agent's response and leaves nothing behind", async () => {
    await site.start("gpu-1");
    expect(await courier.request("gpu-1", { verb: "ping" })).toMatchObject({ success: true, agent: "gpu-1" });
    await settle();
    expect(site.lying({ agent: "gpu-1" })).toEqual([]);
    await courier.close();
    expect([...site.store.replies.keys()]).toEqual(["shared"]);
  });

  test("resolves each of 500 concurrent requests with its own response", async () => {
    await site.start("gpu-1");
    const rtts = await Promise.all(Array.from({ length: 500 }, async () => await courier.ping("gpu-1")));
    expect(rtts.length).toBe(500);
  });

  test("resolves after a change even if the state cannot be read then", async () => {
    await site.start("gpu-1");
    await courier.agents();
    const readStates = site.platform.readStates.bind(site.platform);
    const done = courier.deleteModel("gpu-1", "phi4");
    site.platform.readStates = async () => await Promise.reject(new CourierError("unavailable", "share stalled"));
    expect(await done).toMatchObject({ success: true });
    site.platform.readStates = readStates;
  });

  test("throws the agent's code and message", async () => {
    await site.start("gpu-1");
    const error = await failure(courier.deleteModel("gpu-1", "nope"));
    expect([error.code, error.message]).toEqual(["not_found", "model 'nope:latest' not found"]);
  });

  test("names the known agents when the requested one is unknown", async () => {
    await site.start("gpu-1");
    const error = await failure(courier.ping("gpu-9"));
    expect([error.code, error.hint]).toEqual(["not_found", "Known agents: gpu-1"]);
  });

  test("fails at once when the agent is degraded and refuses everything", async () => {
    await site.start("gpu-1");
    const clone = { ...(await site.state("gpu-1")), started_at: "2020-01-01T00:00:00.000Z", host: "clone" };
    await site.platform.publishState("gpu-1", JSON.stringify(clone));
    await site.clock.advance(5000);
    const error = await failure(courier.ping("gpu-1"));
    expect(error).toMatchObject({ code: "unavailable", hint: "Give one of the two agents another --name" });
    expect(error.message).toStartWith('gpu-1 is degraded: Another agent is called "gpu-1": it runs on clone');
    expect(site.lying({ agent: "gpu-1" })).toEqual([]);
  });

  test("asks an agent that serves only reading verbs, which refuses the others itself, with its hint", async () => {
    const disk = new FailingDisk();
    await site.start("gpu-1", { openDatabase: disk.open });
    disk.fails = "SQLITE_FULL";
    expect(await failure(courier.pullModel("gpu-1", "gemma"))).toMatchObject({ code: "exhausted" });
    await site.clock.advance(6000);
    expect((await courier.agent("gpu-1")).reason).toBe("degraded");
    expect((await courier.listModels(["gpu-1"], { fresh: true })).models).toHaveLength(1);
    const error = await failure(courier.deleteModel("gpu-1", "phi4"));
    expect(error).toMatchObject({
      code: "exhausted",
      hint: "Free space on the disk of the state directory: the agent then recovers by itself",
    });
    disk.fails = null;
    await courier.deleteModel("gpu-1", "phi4");
  });

  test("fails at once when the agent stopped or has been silent", async () => {
    const { stop, ended } = await site.start("gpu-1");
    stop.abort();
    await ended;
    const stopped = await failure(courier.ping("gpu-1"));
    expect([stopped.code, stopped.message]).toEqual(["unavailable", expect.stringContaining("gpu-1 stopped")]);
  });

  test("reports that the command was not answered, and withdraws it, when time runs out", async () => {
    await site.start("gpu-1");
    site.store.subscriptions.clear();
    const error = await failure(after(30_000, courier.ping("gpu-1")));
    expect([error.code, error.hint]).toEqual(["deadline_exceeded", "Safe to retry"]);
    expect(error.message).toMatch(
      /^No answer within 30 s: withdrawn before gpu-1 answered, which published its state \d+ s ago$/,
    );
    expect(site.lying({ agent: "gpu-1" })).toEqual([]);
  });

  test("reports the outage of the share when the share cannot be read after the timeout", async () => {
    await site.start("gpu-1");
    site.store.subscriptions.clear();
    await courier.agents();
    const asking = failure(courier.ping("gpu-1"));
    await settle();
    site.platform.readStates = async () =>
      await Promise.reject(new CourierError("unavailable", "share stalled for 12 s"));
    const { message } = await after(30_000, asking);
    expect(message).toStartWith("No answer within 30 s: share stalled for 12 s; withdrawn before gpu-1 answered");
  });

  test("reports since when the command has been running when time runs out", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    ollama.trouble = new Promise<never>(() => undefined);
    const error = await failure(after(30_000, courier.deleteModel("gpu-1", "phi4")));
    expect(error.message).toMatch(/^No answer within 30 s: gpu-1 has been running it since 2026-/);
    expect(error.hint).toBe("It may still run: check before sending it again");
  });

  test.each([
    [true, "withdrawn before gpu-1 answered", "It does not run unless it had already started"],
    [false, "could not be withdrawn from gpu-1", "It may still run"],
  ])("reports what a changing command may do when time runs out; withdrawn: %p", async (withdrawn, seen, mayRun) => {
    await site.start("gpu-1");
    await courier.agents();
    site.store.subscriptions.clear();
    if (!withdrawn) site.platform.withdraw = async () => await Promise.resolve(false);
    const { message, hint } = await failure(after(30_000, courier.deleteModel("gpu-1", "phi4")));
    expect(message).toStartWith(`No answer within 30 s: ${seen}, which published its state `);
    expect(hint).toBe(`${mayRun}: check before sending it again`);
  });

  test("sends nothing when its signal was aborted before", async () => {
    await site.start("gpu-1");
    site.store.subscriptions.clear();
    const error = await failure(courier.request("gpu-1", { verb: "ping" }, { signal: AbortSignal.abort() }));
    expect([error.code, error.message]).toEqual(["cancelled", "Interrupted before anything was sent"]);
  });

  test("sends commands that are valid for a day at most, however long it waits", async () => {
    const seen: unknown[] = [];
    await site.start("gpu-1");
    const send = site.platform.send.bind(site.platform);
    site.platform.send = async (inbox, id, text, options) => {
      seen.push(JSON.parse(text).ttl_ms);
      await send(inbox, id, text, options);
    };
    await courier.request("gpu-1", { verb: "ping" }, { timeoutMs: 100 * 86_400_000 });
    expect(seen).toEqual([86_400_000]);
  });

  test("rejects with cancelled when the caller gives up", async () => {
    await site.start("gpu-1");
    site.store.subscriptions.clear();
    const controller = new AbortController();
    const call = failure(courier.request("gpu-1", { verb: "ping" }, { signal: controller.signal }));
    const changing = failure(courier.deleteModel("gpu-1", "phi4", { signal: controller.signal }));
    await settle();
    controller.abort();
    expect([(await call).code, (await call).hint]).toEqual(["cancelled", undefined]);
    expect((await changing).hint).toBe("It does not run unless it had already started: check before sending it again");
    expect(site.lying({ agent: "gpu-1" })).toEqual([]);
  });
});

describe("the fleet", () => {
  test("agents() shows who is online, and why not", async () => {
    const first = await site.start("gpu-1");
    await site.start("gpu-2");
    const ollama = new ScriptedOllama();
    ollama.trouble = Promise.reject(new CourierError("unavailable", "Ollama does not answer"));
    ollama.trouble.catch(() => undefined);
    await site.start("gpu-3", { ollama });
    await site.clock.advance(100);
    first.stop.abort();
    await first.ended;
    const views = await courier.agents();
    expect(views.map(({ agent, online, reason }) => [agent, online, reason])).toEqual([
      ["gpu-1", false, "stopped"],
      ["gpu-2", true, null],
      ["gpu-3", true, "ollama_down"],
    ]);
  });

  test("agents() notices a silent agent by the content of its document, not by its age", async () => {
    await site.start("gpu-1");
    await courier.agents();
    const text = JSON.stringify(await site.state("gpu-1"));
    await site.close();
    for (let second = 0; second < 25; second += 5) {
      // The document is written again and again, as a mirror would, but does not change.
      await site.platform.publishState("gpu-1", text);
      await courier.agents();
      await site.clock.advance(5000);
    }
    expect((await courier.agents())[0]).toMatchObject({ online: false, reason: "silent" });
  });

  test("agents() takes an agent whose document changes as alive, even if the transport's clock is wrong", async () => {
    await site.start("gpu-1");
    const now = site.platform.now.bind(site.platform);
    site.platform.now = () => now() + 3_600_000;
    // For the first document only its age is known.
    expect((await courier.agents())[0]).toMatchObject({ online: false, reason: "silent" });
    await site.clock.advance(6_000);
    expect((await courier.agents())[0]).toMatchObject({ online: true, reason: null });
    await site.close();
    await site.clock.advance(21_000);
    expect((await courier.agents())[0]).toMatchObject({ online: false });
  });

  test("choose() returns the only agent, and throws with the names when there are several", async () => {
    expect((await failure(courier.choose(undefined))).code).toBe("unavailable");
    await site.start("gpu-1");
    expect((await courier.choose(undefined)).map(({ agent }) => agent)).toEqual(["gpu-1"]);
    await site.start("gpu-2");
    const error = await failure(courier.choose(undefined));
    expect([error.code, error.message]).toEqual(["conflict", "More than one agent (gpu-1, gpu-2)"]);
    expect((await courier.choose("all")).length).toBe(2);
  });

  test("listModels() merges one entry per name and digest from the state documents", async () => {
    const ollama = new ScriptedOllama();
    ollama.models = [{ ...PHI4, digest: "other", modified_at: "2026-01-01T00:00:00Z" }, PHI4];
    await site.start("gpu-1");
    await site.start("gpu-2", { ollama });
    await site.clock.advance(100);
    const { models, unavailable } = await courier.listModels();
    expect(models.map(({ digest, agents }) => [digest.slice(0, 5), agents])).toEqual([
      ["other", ["gpu-2"]],
      ["ac896", ["gpu-1", "gpu-2"]],
    ]);
    expect(unavailable).toEqual([]);
    expect(newestPerName(models).map(({ digest }) => digest)).toEqual(["other"]);
  });

  test("listModels() names the agents that could not answer, and fails only when none could", async () => {
    const down = new ScriptedOllama();
    down.trouble = Promise.reject(new CourierError("unavailable", "Ollama does not answer"));
    down.trouble.catch(() => undefined);
    await site.start("gpu-2", { ollama: down });
    await site.clock.advance(100);
    const alone = await failure(courier.listModels());
    expect([alone.code, alone.message]).toEqual([
      "unavailable",
      expect.stringContaining("gpu-2: Ollama is not reachable"),
    ]);
    await site.start("gpu-1");
    await site.clock.advance(100);
    const { models, unavailable } = await courier.listModels();
    expect(models.map(({ agents }) => agents)).toEqual([["gpu-1"]]);
    expect(unavailable).toEqual([
      { agent: "gpu-2", code: "unavailable", reason: expect.stringContaining("Ollama does not answer") },
    ]);
  });

  test("listModels() asks the agents when the list must be fresh or was cut", async () => {
    const ollama = new ScriptedOllama();
    ollama.models = Array.from({ length: 3000 }, (_, i) => ({ ...PHI4, name: `m${i}:latest`, digest: `${i}` }));
    await site.start("gpu-1", { ollama });
    await site.clock.advance(100);
    expect((await courier.listModels()).models.length).toBe(3000);
    ollama.models = [];
    expect((await courier.listModels(undefined, { fresh: true })).models).toEqual([]);
  });
});

describe("jobs", () => {
  test("followJob() yields each change and the end last", async () => {
    const ollama = new ScriptedOllama();
    const end = Promise.withResolvers<void>();
    ollama.pullEnds = end.promise;
    await site.start("gpu-1", { ollama });
    const job = await courier.pullModel("gpu-1", "phi5");
    const seen: Job[] = [];
    const followed = (async () => {
      for await (const change of courier.followJob("gpu-1", job.id ?? "")) seen.push(change);
    })();
    await site.clock.advance(1000);
    end.resolve();
    await site.clock.advance(1000);
    await followed;
    expect(seen[0]?.state).toBe("running");
    expect(seen.at(-1)).toMatchObject({ state: "succeeded", completed_bytes: 100 });
  });

  test("followJob() rejects with cancelled when the caller detaches, and the job goes on", async () => {
    const ollama = new ScriptedOllama();
    ollama.pullEnds = new Promise(() => undefined);
    await site.start("gpu-1", { ollama });
    const { id } = await courier.pullModel("gpu-1", "phi5");
    const controller = new AbortController();
    const following = courier.followJob("gpu-1", id ?? "", controller.signal);
    await following.next();
    const next = failure(following.next());
    controller.abort();
    expect((await next).code).toBe("cancelled");
    expect((await courier.listJobs()).jobs.map(({ state }) => state)).toEqual(["running"]);
  });
});

describe("a legacy service", () => {
  beforeEach(async () => {
    await site.platform.openInbox("shared");
    const state = {
      timestamp: "2025-07-15T17:00:00",
      status: "running",
      processed_commands: 3,
      ollama_available: true,
    };
    await site.platform.publishState("gpu", JSON.stringify(state));
  });

  /** Answers the next commands in the shared inbox as the legacy service does: it removes them first. */
  async function answer(response: object): Promise<void> {
    const old = site.store.open();
    await old.connect();
    await old.receive("shared", {
      deliver: (delivery) => {
        void old.withdraw("shared", delivery.id);
        void old.respond("shared", delivery.id, JSON.stringify({ timestamp: "t", ...response }), { durable: false });
      },
    });
  }

  test("listModels() asks it by command, in its own version", async () => {
    await answer({ success: true, models: [PHI4] });
    const { models } = await courier.listModels();
    expect(models).toEqual([{ ...PHI4, agents: ["gpu"], clockOffsetMs: 0 }]);
    expect(site.store.replies.get("shared")?.size).toBe(0);
  });

  test("choose() leaves out a silent legacy service, which never says that it stops", async () => {
    await site.start("gpu-1");
    (await site.start("gpu-2")).stop.abort();
    await site.clock.advance(1);
    expect((await failure(courier.choose(undefined))).code).toBe("conflict");
    await site.clock.advance(21_000);
    expect((await courier.choose(undefined)).map(({ agent }) => agent)).toEqual(["gpu-1"]);
    // An agent that stopped still counts as a machine.
    expect((await courier.choose("all")).map(({ agent }) => agent)).toEqual(["gpu-1", "gpu-2"]);
    expect((await courier.listModels()).unavailable.map(({ agent }) => agent)).toEqual(["gpu-2"]);
  });

  test("agents() takes it as alive while its document is empty or half-written", async () => {
    for (const text of ["", '{"timestamp": "20', ""]) {
      await courier.agents();
      await site.clock.advance(15_000);
      await site.platform.publishState("gpu", text);
      expect((await courier.agents())[0]).toMatchObject({ agent: "gpu", online: true });
    }
  });

  test("agents() waits a moment when the first document is just being written", async () => {
    await site.platform.publishState("gpu", "");
    const reading = courier.agents();
    await settle();
    const state = {
      timestamp: "2025-07-15T17:00:05",
      status: "running",
      processed_commands: 3,
      ollama_available: true,
    };
    await site.platform.publishState("gpu", JSON.stringify(state));
    await site.clock.advance(100);
    expect((await reading).map(({ agent }) => agent)).toEqual(["gpu"]);
  });

  test("pullModel() returns a job that cannot be followed", async () => {
    await answer({ success: true, message: "Started pulling model phi5" });
    expect(await courier.pullModel("gpu", "phi5")).toMatchObject({ id: null, state: "running", code: "unimplemented" });
  });

  test("request() throws unimplemented at once for a verb that it does not have", async () => {
    expect((await failure(courier.ping("gpu"))).code).toBe("unimplemented");
  });

  test("request() throws its error text when it failed", async () => {
    await answer({ success: false, error: "model 'x' not found" });
    const error = await failure(courier.deleteModel("gpu", "x"));
    expect([error.code, error.message, error.saidBy]).toEqual(["internal", "model 'x' not found", "gpu"]);
  });
});
