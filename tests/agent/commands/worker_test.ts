// How the agent takes, runs and answers commands, on the memory transport.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Clock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
beforeEach(async () => {
  site = new MemorySite();
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

const own = { agent: "gpu-1" };

/** An agent whose Ollama gets no further until `fail()`: then what is under way fails, and the rest works. */
async function startStuck() {
  const ollama = new ScriptedOllama();
  await site.start("gpu-1", { ollama });
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  ollama.trouble = promise;
  const fail = (): void => {
    ollama.trouble = Promise.resolve();
    reject(new Error("over"));
  };
  return { ollama, fail };
}

describe("version 2", () => {
  test("take() answers a ping at the sender's address and removes the command", async () => {
    await site.start("gpu-1");
    await site.command("gpu-1", "id-1", { command: "ping" });
    expect(site.replies.get("id-1")).toMatchObject({ success: true, version: 2, agent: "gpu-1", command_id: "id-1" });
    expect(site.lying(own)).toEqual([]);
  });

  test("take() lists the models that Ollama has now", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    ollama.models = [{ ...PHI4, name: "gemma3:12b" }];
    await site.command("gpu-1", "id-1", { command: "list_models" });
    expect(site.replies.get("id-1")?.models?.map(({ name }) => name)).toEqual(["gemma3:12b"]);
  });

  test("take() answers the recorded response, without a second effect, when a changing id arrives again", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    const order = { command: "delete_model", model_name: "phi4" };
    await site.command("gpu-1", "id-1", order);
    const first = site.replies.get("id-1");
    site.replies.clear();
    await site.clock.advance(10);
    await site.command("gpu-1", "id-1", order);
    expect(first?.success).toBe(true);
    expect(site.replies.get("id-1")).toEqual(first);
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
  });

  test("take() answers the recorded response after a restart", async () => {
    const ollama = new ScriptedOllama();
    const dir = site.stateDir();
    const first = await site.start("gpu-1", { ollama, dir });
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "phi4" });
    first.stop.abort();
    await site.clock.advance(100);
    await first.ended;
    first.ledger.close();
    site.replies.clear();
    await site.start("gpu-1", { ollama, dir });
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "phi4" });
    expect(site.replies.get("id-1")?.message).toBe("Successfully deleted model phi4:latest");
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
  });

  test("take() answers and removes the command once the transport is writable again", async () => {
    const { transport } = await site.start("gpu-1");
    const denied = async (): Promise<never> => {
      const cause = Object.assign(new Error("planted"), { code: "EROFS" });
      throw new CourierError("forbidden", "the share is mounted read-only", { cause });
    };
    const fixed = { respond: transport.respond.bind(transport), release: transport.release.bind(transport) };
    Object.assign(transport, { respond: denied, release: denied });
    await site.command("gpu-1", "id-1", { command: "ping" });
    await site.clock.advance(10_000);
    expect([site.replies.get("id-1"), site.lying({ agent: "gpu-1" })]).toEqual([undefined, ["id-1"]]);
    Object.assign(transport, fixed);
    await site.clock.advance(2_000);
    expect([site.replies.get("id-1")?.success, site.lying({ agent: "gpu-1" })]).toEqual([true, []]);
  });

  test("take() publishes the new list before it answers a changing verb", async () => {
    await site.start("gpu-1");
    await site.clock.advance(100);
    expect((await site.state("gpu-1")).models).toEqual([PHI4]);
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "phi4" });
    expect(site.replies.get("id-1")?.success).toBe(true);
    expect((await site.state("gpu-1")).models).toEqual([]);
  });

  test("take() answers a ping while Ollama hangs and a list waits for it", async () => {
    const ollama = new ScriptedOllama();
    ollama.trouble = new Promise(() => undefined);
    await site.start("gpu-1", { ollama });
    for (let i = 0; i < 100; i++) await site.command("gpu-1", `list-${i}`, { command: "list_models" });
    await site.command("gpu-1", "ping", { command: "ping" });
    expect([...site.replies.keys()]).toEqual(["ping"]);
    await site.clock.advance(6000);
    expect((await site.state("gpu-1")).commands.length).toBe(64);
  });

  test("the state lists commands under way even if the box's clock was set back", async () => {
    const ollama = new ScriptedOllama();
    ollama.trouble = new Promise(() => undefined);
    let setBackMs = 0;
    const { clock } = site;
    const boxClock: Clock = {
      now: () => clock.now() - setBackMs,
      monotonic: () => clock.monotonic(),
      sleep: async (ms, signal) => await clock.sleep(ms, signal),
    };
    await site.start("gpu-1", { ollama, clock: boxClock });
    await site.command("gpu-1", "list-1", { command: "list_models" });
    setBackMs = 3_600_000;
    await site.clock.advance(6_000);
    expect((await site.state("gpu-1")).commands.map(({ command_id }) => command_id)).toEqual(["list-1"]);
  });

  test("take() runs changing commands for one model in turn, and those for other models at the same time", async () => {
    const { ollama, fail } = await startStuck();
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "a" });
    await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "A:latest" });
    await site.command("gpu-1", "id-3", { command: "delete_model", model_name: "b" });
    expect(ollama.calls).toEqual(["delete a:latest", "delete b:latest"]);
    fail();
    await settle();
    expect(ollama.calls).toEqual(["delete a:latest", "delete b:latest", "delete A:latest"]);
  });

  test("take() runs a copy and a delete of the copy's destination in turn", async () => {
    const { ollama, fail } = await startStuck();
    const copy = { command: "copy_model", model_name: "phi4", arguments: { destination: "X" } };
    await site.command("gpu-1", "id-1", copy);
    await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "x" });
    expect(ollama.calls).toEqual(["copy phi4:latest X:latest"]);
    fail();
    await settle();
    expect(ollama.calls).toEqual(["copy phi4:latest X:latest", "delete x:latest"]);
  });

  test("take() runs one of two commands that have the same id, whatever their models", async () => {
    const { ollama, fail } = await startStuck();
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "a" });
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "b" });
    fail();
    await settle();
    expect(ollama.calls).toEqual(["delete a:latest"]);
  });

  test("take() answers a cancel while eight deletes hang", async () => {
    const ollama = new ScriptedOllama();
    ollama.pullEnds = new Promise(() => undefined);
    await site.start("gpu-1", { ollama });
    await site.command("gpu-1", "pull", { command: "pull_model", model_name: "b" });
    ollama.trouble = new Promise(() => undefined);
    for (let n = 0; n < 9; n++)
      await site.command("gpu-1", `id-${n}`, { command: "delete_model", model_name: `m${n}` });
    const job_id = site.replies.get("pull")?.job?.id;
    await site.command("gpu-1", "cancel", { command: "cancel_job", arguments: { job_id } });
    await site.clock.advance(2_000);
    expect(site.replies.get("cancel")).toMatchObject({ success: true, job: { state: "cancelled" } });
  });

  test("take() refuses a command whose time passed while the share could not be asked for it", async () => {
    const ollama = new ScriptedOllama();
    const { transport } = await site.start("gpu-1", { ollama });
    const isUnchanged = transport.isUnchanged.bind(transport);
    const away = async (): Promise<never> => {
      throw new CourierError("unavailable", "the share does not respond");
    };
    Object.assign(transport, { isUnchanged: away });
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "phi4" });
    await site.clock.advance(31_000);
    Object.assign(transport, { isUnchanged });
    await site.clock.advance(61_000);
    expect(site.replies.get("id-1")).toMatchObject({ success: false, code: "deadline_exceeded" });
    expect(ollama.calls).toEqual([]);
  });

  test("take() refuses a command whose time passed while it waited for its turn", async () => {
    const { ollama, fail } = await startStuck();
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "a" });
    await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "a" });
    await site.clock.advance(30_000);
    fail();
    await settle();
    expect(site.replies.get("id-2")).toMatchObject({ success: false, code: "deadline_exceeded" });
    expect(ollama.calls).toEqual(["delete a:latest"]);
  });

  test("take() does not run a command that its sender withdrew while it waited for its turn", async () => {
    const { ollama, fail } = await startStuck();
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "a" });
    await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "a" });
    expect(await site.platform.withdraw(own, "id-2")).toBe(true);
    fail();
    await settle();
    expect(ollama.calls).toEqual(["delete a:latest"]);
    expect([...site.replies.keys()]).toEqual(["id-1"]);
  });

  test("take() refuses a changing command with the reason when the ledger cannot record it", async () => {
    const ollama = new ScriptedOllama();
    const { ledger } = await site.start("gpu-1", { ollama });
    ledger.start = () => {
      throw new CourierError("exhausted", "The disk is full");
    };
    await site.command("gpu-1", "id-1", { command: "delete_model", model_name: "phi4" });
    expect(site.replies.get("id-1")).toMatchObject({ success: false, code: "exhausted", error: "The disk is full" });
    expect(ollama.calls).toEqual([]);
    expect(site.lying(own)).toEqual([]);
  });

  test("take() drops the response and removes the command when the sender no longer waits", async () => {
    await site.start("gpu-1");
    await site.command("gpu-1", "id-1", { command: "ping", reply_to: "gone" });
    expect(site.lying(own)).toEqual([]);
    expect(site.replies.size).toBe(0);
  });

  test("delete_model cancels the pull of that model first", async () => {
    const ollama = new ScriptedOllama();
    ollama.pullEnds = new Promise(() => undefined);
    await site.start("gpu-1", { ollama });
    await site.command("gpu-1", "id-1", { command: "pull_model", model_name: "big" });
    expect(site.replies.get("id-1")?.job?.state).toBe("running");
    await site.command("gpu-1", "id-2", { command: "delete_model", model_name: "big" });
    expect(site.replies.get("id-2")).toMatchObject({ success: true });
    expect((await site.state("gpu-1")).jobs.map(({ state }) => state)).toEqual(["cancelled"]);
  });

  test("take() answers unimplemented to a verb of a later release", async () => {
    await site.start("gpu-1");
    await site.command("gpu-1", "id-2", { command: "frobnicate" });
    expect(site.replies.get("id-2")?.code).toBe("unimplemented");
  });

  test("take() answers with Ollama's code when Ollama is unavailable", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    ollama.trouble = Promise.reject(new Error("boom"));
    ollama.trouble.catch(() => undefined);
    await site.command("gpu-1", "id-1", { command: "list_models" });
    expect(site.replies.get("id-1")).toMatchObject({ success: false, code: "internal" });
  });
});
