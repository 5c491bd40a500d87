// Several agents and the shared inbox, on the memory transport: commands that another agent has claimed.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { publicLine } from "#src/trust/keys.ts";
import { MemorySite, PHI4, type RunningAgent, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";
import { testKey } from "#tests/trust/test_key.ts";

let site: MemorySite;
beforeEach(async () => {
  site = new MemorySite();
  await site.listen("shared");
});
afterEach(async () => await site.close());

const ID = "delete_model_1";
const DELETE = { command: "delete_model", command_id: ID, model_name: "phi4" };
const CHANGE_TTL_MS = 600_000;

/** Two agents; gpu-1 serves the shared inbox. */
async function twoAgents() {
  const ollamas = [new ScriptedOllama(), new ScriptedOllama()] as const;
  const dirs = [site.stateDir(), site.stateDir()] as const;
  const start = async (which: 0 | 1, sharedInbox: "auto" | "off" = "auto"): Promise<RunningAgent> => {
    const options = { ollama: ollamas[which], dir: dirs[which], changeTtlMs: CHANGE_TTL_MS, sharedInbox };
    return await site.start(`gpu-${which + 1}`, options);
  };
  const agents = [await start(0), await start(1)] as const;
  await site.clock.advance(6000);
  expect(await serving()).toEqual(["gpu-1"]);
  return { ollamas, agents, start };
}

async function serving(): Promise<string[]> {
  const states = await Promise.all(["gpu-1", "gpu-2"].map(async (name) => await site.state(name)));
  return states.filter(({ serves_shared_inbox: serves }) => serves).map(({ agent }) => agent);
}

/** gpu-2 runs only signed commands from now on. */
async function requireSignatures(two: Awaited<ReturnType<typeof twoAgents>>): Promise<void> {
  const trustedKeys = join(site.stateDir(), "trusted_keys");
  writeFileSync(trustedKeys, publicLine(testKey(), "server@platform"));
  const [, agent] = two.agents;
  agent.stop.abort();
  await site.clock.advance(1000);
  await agent.ended;
  await site.start("gpu-2", { ollama: two.ollamas[1], requireSignatures: "changing", trustedKeys });
}

/** gpu-1 dies while it runs the command, and gpu-2 takes over the inbox. */
async function diesWithCommand(prepare?: typeof requireSignatures) {
  const two = await twoAgents();
  if (prepare !== undefined) await prepare(two);
  two.ollamas[0].trouble = new Promise(() => undefined);
  await site.send("shared", ID, DELETE);
  expect(two.ollamas[0].calls).toEqual(["delete phi4:latest"]);
  await site.kill(two.agents[0]);
  two.ollamas[0].trouble = Promise.resolve();
  await site.clock.advance(25_000);
  expect((await site.state("gpu-2")).serves_shared_inbox).toBe(true);
  return two;
}

describe("a changing command whose agent died", () => {
  test("is left alone by the agent that serves now, and resumed by its own agent, which no longer serves", async () => {
    const { ollamas, start } = await diesWithCommand();
    await site.clock.advance(60_000);
    expect([site.replies.size, site.lying("shared")]).toEqual([0, [ID]]);
    await start(0, "off");
    await site.clock.advance(10_000);
    expect(await serving()).toEqual(["gpu-2"]);
    expect(site.replies.get(ID)).toMatchObject({ success: true, message: "Successfully deleted model phi4:latest" });
    expect(site.lying("shared")).toEqual([]);
    expect([ollamas[0].models, ollamas[1].models]).toEqual([[], [PHI4]]);
  });

  test("is left alone by an agent that serves now and would refuse it, because it is not signed", async () => {
    const { ollamas, start } = await diesWithCommand(requireSignatures);
    await site.clock.advance(60_000);
    expect([site.replies.size, site.lying("shared")]).toEqual([0, [ID]]);
    await start(0, "off");
    await site.clock.advance(10_000);
    expect(site.replies.get(ID)).toMatchObject({ success: true, message: "Successfully deleted model phi4:latest" });
    expect([ollamas[0].models, ollamas[1].models, site.lying("shared")]).toEqual([[], [PHI4], []]);
  });

  test("is answered with unknown outcome and removed by the serving agent when its time is over, and never runs again", async () => {
    const { ollamas, start } = await diesWithCommand();
    await site.clock.advance(CHANGE_TTL_MS - 40_000);
    expect(site.replies.size).toBe(0);
    await site.clock.advance(20_000);
    expect(site.replies.get(ID)?.success).toBe(false);
    expect(site.replies.get(ID)?.error).toStartWith("The outcome of the command is unknown: another agent began it");
    expect(site.lying("shared")).toEqual([]);
    await start(0);
    await site.clock.advance(10_000);
    expect(ollamas.map(({ calls }) => calls.length)).toEqual([1, 0]);
  });

  test("is removed by the serving agent when its own agent had answered it", async () => {
    const { agents, ollamas } = await twoAgents();
    await site.send("shared", ID, DELETE);
    expect(site.replies.get(ID)?.success).toBe(true);
    await site.kill(agents[0]);
    expect(site.lying("shared")).toEqual([ID]);
    site.replies.clear();
    await site.clock.advance(30_000);
    expect(site.lying("shared")).toEqual([]);
    expect(site.replies.size).toBe(0);
    expect(ollamas.map(({ calls }) => calls.length)).toEqual([1, 0]);
  });

  test("is run by its own agent when that died after the claim and before the ledger's entry", async () => {
    const { ollamas, agents, start } = await twoAgents();
    const { ledger } = agents[0];
    // Asked between the claim and the entry.
    ledger.mayHaveForgotten = () => {
      void site.kill(agents[0]);
      return false;
    };
    await site.send("shared", ID, DELETE);
    expect(ollamas[0].calls).toEqual([]);
    await site.clock.advance(25_000);
    expect((await site.state("gpu-2")).serves_shared_inbox).toBe(true);
    expect(site.replies.size).toBe(0);
    await start(0, "off");
    await site.clock.advance(10_000);
    expect(site.replies.get(ID)?.success).toBe(true);
    expect(ollamas.map(({ calls }) => calls.length)).toEqual([1, 0]);
    expect(site.lying("shared")).toEqual([]);
  });

  test("is answered with unknown outcome by its own agent when that restarts after the command's time", async () => {
    const { ollamas, agents, start } = await twoAgents();
    ollamas[0].trouble = new Promise(() => undefined);
    await site.send("shared", ID, DELETE);
    await site.kill(agents[0]);
    await site.kill(agents[1]);
    ollamas[0].trouble = Promise.resolve();
    await site.clock.advance(CHANGE_TTL_MS);
    await start(0);
    await site.clock.advance(10_000);
    expect(site.replies.get(ID)?.error).toContain("it began before the agent crashed, and its time is over");
    expect(ollamas[0].calls).toEqual(["delete phi4:latest"]);
    expect(site.lying("shared")).toEqual([]);
  });

  test("is answered by only one agent when another one has taken over the inbox meanwhile", async () => {
    const { agents, start } = await twoAgents();
    await site.kill(agents[0]);
    await site.clock.advance(25_000);
    expect((await site.state("gpu-2")).serves_shared_inbox).toBe(true);
    await claimByAnother();
    await site.clock.advance(1000);
    await start(0);
    await site.clock.advance(10_000);
    expect(await serving()).toEqual(["gpu-1"]);
    let looks = 0;
    agents[1].transport.respondedAtMs = async () => {
      looks += 1;
      return null;
    };
    await site.clock.advance(CHANGE_TTL_MS + 10_000);
    expect(looks).toBe(0);
    expect(site.replies.get(ID)?.error).toStartWith("The outcome of the command is unknown");
    const states = await Promise.all(["gpu-1", "gpu-2"].map(async (name) => await site.state(name)));
    expect(states.reduce((sum, { refused_commands: refused }) => sum + refused, 0)).toBe(1);
  });
});

/** Sends the command, claimed by an agent that never runs. */
async function claimByAnother(): Promise<void> {
  const holder = site.store.open();
  await holder.connect();
  await site.platform.connect();
  const claims: Promise<boolean>[] = [];
  await holder.receive("shared", {
    deliver: (delivery) => void claims.push(holder.claim(delivery, { agent: "gpu-9", instance: "of-gpu-9" })),
  });
  await site.send("shared", ID, DELETE);
  expect(await Promise.all(claims)).toEqual([true]);
  await holder.close();
}

test("another agent does not report a late claimed command as not run", async () => {
  await claimByAnother();
  await site.clock.advance(CHANGE_TTL_MS + 1000);
  const ollama = new ScriptedOllama();
  await site.start("gpu-1", { ollama, changeTtlMs: CHANGE_TTL_MS });
  await site.clock.advance(6000);
  expect(site.replies.get(ID)?.error).toStartWith("The outcome of the command is unknown");
  expect(ollama.calls).toEqual([]);
});

test("an agent that takes over from a legacy service runs the commands without a response, and no others", async () => {
  const old = { timestamp: "2025-07-15T17:00:00", status: "running", processed_commands: 1, ollama_available: true };
  await site.platform.connect();
  await site.platform.publishState("gpu", JSON.stringify(old));
  const ollama = new ScriptedOllama();
  await site.start("gpu-1", { ollama });
  await site.send("shared", ID, DELETE);
  await site.platform.respond("shared", ID, JSON.stringify({ success: true, timestamp: "x" }), { durable: false });
  await site.send("shared", "pull_model_1", { command: "pull_model", model_name: "gemma" });
  await site.clock.advance(6000);
  expect([(await site.state("gpu-1")).serves_shared_inbox, ollama.calls]).toEqual([false, []]);
  await site.clock.advance(30_000);
  expect((await site.state("gpu-1")).serves_shared_inbox).toBe(true);
  expect(ollama.calls).toEqual(["pull gemma:latest"]);
  expect(site.lying("shared")).toEqual([]);
});

test("a resumed pull answers its own job, even one that ended before the crash, and pulls nothing again", async () => {
  const ollama = new ScriptedOllama();
  const dir = site.stateDir();
  const pull = { command: "pull_model", command_id: "pull_model_1", model_name: "gemma" };
  const first = await site.start("gpu-1", { ollama, dir });
  first.ledger.respond = () => undefined;
  first.transport.respond = async () => await new Promise(() => undefined);
  await site.send("shared", "pull_model_1", pull);
  await site.clock.advance(1000);
  const [job] = (await site.state("gpu-1")).jobs;
  expect(job?.state).toBe("succeeded");
  await site.kill(first);
  await site.start("gpu-1", { ollama, dir });
  await site.clock.advance(10_000);
  expect(site.replies.get("pull_model_1")?.success).toBe(true);
  expect((await site.state("gpu-1")).jobs.map(({ id }) => id)).toEqual([job?.id ?? ""]);
  expect(ollama.calls).toEqual(["pull gemma:latest"]);
});
