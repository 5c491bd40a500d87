// In which order an agent runs changing commands, across its two inboxes: that in which they were sent, however late it sees them.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Gathering } from "#src/agent/commands/gathering.ts";
import type { Delivery } from "#src/transport.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
beforeEach(async () => {
  site = new MemorySite();
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

const DELETE = { command: "delete_model", model_name: "phi4" };
const PULL = { command: "pull_model", model_name: "phi4", ttl_ms: 600_000 };

/** An agent with this name was here before: its inbox is there. */
async function makeInbox(): Promise<void> {
  await site.platform.connect();
  await site.platform.openInbox({ agent: "gpu-1" });
}

describe("at the start", () => {
  test("a delete in the shared inbox runs before a pull in the agent's own inbox that was sent after it", async () => {
    await makeInbox();
    const ollama = new ScriptedOllama();
    await site.send("shared", "delete_model_1", DELETE);
    await site.clock.advance(1_000);
    await site.command("gpu-1", "id-1", PULL);
    await site.clock.advance(1_000);
    await site.start("gpu-1", { ollama });
    await site.clock.advance(10_000);
    expect(ollama.calls).toEqual(["delete phi4:latest", "pull phi4:latest"]);
    expect(site.replies.get("delete_model_1")?.success).toBe(true);
    expect((await site.state("gpu-1")).jobs.map(({ state }) => state)).toEqual(["succeeded"]);
  });

  test("a delete that a crash interrupted runs before a pull that was sent after it", async () => {
    const dir = site.stateDir();
    const dying = new ScriptedOllama();
    dying.trouble = new Promise(() => undefined);
    const first = await site.start("gpu-1", { ollama: dying, dir });
    await site.send("shared", "delete_model_1", DELETE);
    expect(dying.calls).toEqual(["delete phi4:latest"]);
    await site.kill(first);
    await site.clock.advance(1_000);
    await site.command("gpu-1", "id-1", PULL);
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama, dir });
    await site.clock.advance(10_000);
    expect(ollama.calls).toEqual(["delete phi4:latest", "pull phi4:latest"]);
  });

  test("a ping is answered at once", async () => {
    await makeInbox();
    await site.command("gpu-1", "id-1", { command: "ping" });
    await site.start("gpu-1");
    expect(site.replies.get("id-1")?.success).toBe(true);
  });
});

/** A command becomes visible in the shared inbox only now, as one that was sent a while ago. */
async function sentBefore(agoMs: number, id: string, document: object): Promise<void> {
  const entries = site.store.inboxes.get("shared");
  if (entries === undefined) throw new Error("There is no shared inbox");
  const entry = { text: JSON.stringify(document), atMs: site.clock.now() - agoMs };
  entries.set(id, entry);
  for (const { entries: watched, notify } of site.store.subscriptions) if (watched === entries) notify(id, entry);
  await site.clock.advance(100);
}

describe("a delete that comes late", () => {
  const deleteSentBefore = async (agoMs: number): Promise<void> => await sentBefore(agoMs, "delete_model_1", DELETE);

  test.each([
    ["runs", new Promise<void>(() => undefined)],
    ["has succeeded", Promise.resolve()],
  ])("leaves a pull that was sent after it and %s", async (_, pullEnds) => {
    const ollama = new ScriptedOllama();
    ollama.pullEnds = pullEnds;
    await site.start("gpu-1", { ollama });
    await site.clock.advance(10_000);
    await site.command("gpu-1", "id-1", PULL);
    await site.clock.advance(2_000);
    await deleteSentBefore(5_000);
    expect(ollama.calls).toEqual(["pull phi4:latest"]);
    expect(site.replies.get("delete_model_1")).toMatchObject({
      success: true,
      message: "Model phi4:latest stays: a command that was sent later asks for it",
    });
  });

  test("leaves a pull that another command joined after it, also over a restart", async () => {
    const dir = site.stateDir();
    const ollama = new ScriptedOllama();
    ollama.pullEnds = new Promise(() => undefined);
    const first = await site.start("gpu-1", { ollama, dir });
    await site.command("gpu-1", "id-1", PULL);
    await site.clock.advance(10_000);
    await site.command("gpu-1", "id-2", PULL);
    await site.kill(first);
    await site.start("gpu-1", { ollama, dir });
    await site.clock.advance(2_000);
    await deleteSentBefore(5_000);
    expect((await site.state("gpu-1")).jobs.map(({ state }) => state)).toEqual(["running"]);
    expect(ollama.calls.filter((call) => call.startsWith("delete"))).toEqual([]);
  });

  test("leaves a copy that was made by a command that was sent after it", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    await site.clock.advance(10_000);
    await site.command("gpu-1", "id-1", {
      command: "copy_model",
      model_name: "gemma",
      arguments: { destination: "phi4" },
    });
    await site.clock.advance(1_000);
    await deleteSentBefore(5_000);
    expect(ollama.calls).toEqual(["copy gemma:latest phi4:latest"]);
  });

  test("leaves such a copy also over a restart", async () => {
    const dir = site.stateDir();
    const ollama = new ScriptedOllama();
    const first = await site.start("gpu-1", { ollama, dir });
    await site.clock.advance(10_000);
    const copy = { command: "copy_model", model_name: "gemma", arguments: { destination: "PHI4" } };
    await site.command("gpu-1", "id-1", copy);
    await site.kill(first);
    await site.start("gpu-1", { ollama, dir });
    await site.clock.advance(1_000);
    await deleteSentBefore(5_000);
    expect(ollama.calls.filter((call) => call.startsWith("delete"))).toEqual([]);
  });

  test("cancels a pull that was sent before it", async () => {
    const ollama = new ScriptedOllama();
    ollama.pullEnds = new Promise(() => undefined);
    await site.start("gpu-1", { ollama });
    await site.command("gpu-1", "id-1", PULL);
    await site.clock.advance(10_000);
    await deleteSentBefore(5_000);
    await site.clock.advance(2_000);
    expect((await site.state("gpu-1")).jobs.map(({ state }) => state)).toEqual(["cancelled"]);
  });
});

describe("a pull that comes late", () => {
  test.each(["phi4", "gemma"])("is refused when a delete that was sent after it has run, of %s", async (model) => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    await site.clock.advance(10_000);
    await site.command("gpu-1", "id-1", { ...DELETE, model_name: model });
    await site.clock.advance(2_000);
    await sentBefore(5_000, "pull_model_1", { command: "pull_model", model_name: model });
    expect(ollama.calls).toEqual([`delete ${model}:latest`]);
    expect(site.replies.get("pull_model_1")).toMatchObject({
      success: false,
      error: `Cannot pull ${model}:latest: a command that was sent later has deleted it`,
    });
    await site.command("gpu-1", "id-2", { ...PULL, model_name: model });
    expect(site.replies.get("id-2")?.success).toBe(true);
  });

  test("is run when a later delete has failed", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama, protect: ["phi4"] });
    await site.clock.advance(10_000);
    await site.command("gpu-1", "id-1", DELETE);
    await sentBefore(5_000, "pull_model_1", { command: "pull_model", model_name: "phi4" });
    expect(ollama.calls).toEqual(["pull phi4:latest"]);
  });
});

describe("Gathering", () => {
  function add(gathering: Gathering, begun: string[], id: string, sentAtMs: number): void {
    const delivery: Delivery = { inbox: "shared", id, key: `${id}~0`, content: { text: "{}" }, sentAtMs };
    gathering.add(delivery, () => void begun.push(id));
  }

  test("begins what it gathered in the order of time and id, once nothing is awaited", () => {
    const gathering = new Gathering(new ManualClock(), "own");
    const begun: string[] = [];
    gathering.wait("shared");
    for (const [id, sentAtMs] of Object.entries({ c: 2, b: 1, a: 2 })) add(gathering, begun, id, sentAtMs);
    gathering.done("own");
    expect(begun).toEqual([]);
    gathering.done("shared");
    expect(begun).toEqual(["b", "a", "c"]);
    add(gathering, begun, "d", 0);
    expect(begun).toEqual(["b", "a", "c", "d"]);
  });

  test("waits at most 10 s, and after stop() begins nothing", async () => {
    const clock = new ManualClock();
    const gathering = new Gathering(clock, "own");
    const begun: string[] = [];
    add(gathering, begun, "a", 1);
    await clock.advance(9_900);
    expect(begun).toEqual([]);
    await clock.advance(100);
    expect(begun).toEqual(["a"]);
    gathering.wait("own");
    add(gathering, begun, "b", 1);
    gathering.stop();
    await clock.advance(20_000);
    await settle();
    expect(begun).toEqual(["a"]);
  });
});
