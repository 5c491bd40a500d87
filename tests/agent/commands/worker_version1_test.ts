// How the agent takes, runs and answers version 1 commands, those of legacy backends, on the memory transport.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Activity } from "#src/agent/commands/activity.ts";
import { Gathering } from "#src/agent/commands/gathering.ts";
import { Intake } from "#src/agent/commands/intake.ts";
import { Verifier } from "#src/agent/commands/verify.ts";
import { Worker } from "#src/agent/commands/worker.ts";
import { Ledger } from "#src/agent/ledger/ledger.ts";
import { silentLog } from "#src/base/log.ts";
import { Outage } from "#src/base/outage.ts";
import { MemorySite, PHI4, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
beforeEach(async () => {
  site = new MemorySite();
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

describe("version 1", () => {
  const list = { command: "list_models", timestamp: "2025-07-15T17:00:00", command_id: "test_command" };

  test("take() answers a list beside the shared inbox and leaves its file to its sender", async () => {
    await site.start("gpu-1");
    await site.send("shared", "test_command", list);
    const { version, code, ...answer } = site.replies.get("test_command") ?? {};
    expect(answer).toMatchObject({ success: true, models: [PHI4] });
    expect([version, code]).toEqual([undefined, undefined]);
    expect(site.lying("shared")).toEqual(["test_command"]);
  });

  test("take() answers a list with the fields of version 1 only", async () => {
    const ollama = new ScriptedOllama();
    ollama.models = [{ ...PHI4, details: { family: "phi3" }, capabilities: ["completion"] }];
    await site.start("gpu-1", { ollama });
    await site.send("shared", "test_command", list);
    expect(Object.keys(site.replies.get("test_command")?.models?.[0] ?? {})).toEqual(Object.keys(PHI4));
    await site.command("gpu-1", "own", { command: "list_models" });
    expect(site.replies.get("own")?.models).toEqual(ollama.models);
  });

  test("take() answers a name again only when it was written again", async () => {
    await site.start("gpu-1");
    await site.send("shared", "test_command", list);
    site.replies.clear();
    await site.clock.advance(5000);
    expect(site.replies.size).toBe(0);
    await site.send("shared", "test_command", list);
    expect(site.replies.get("test_command")?.success).toBe(true);
  });

  test("take() does not answer a list again after a restart", async () => {
    const first = await site.start("gpu-1");
    await site.send("shared", "test_command", list);
    first.stop.abort();
    await site.clock.advance(1000);
    site.replies.clear();
    await site.start("gpu-1");
    await site.clock.advance(1000);
    expect(site.replies.size).toBe(0);
  });

  test("take() removes an answered pull only when it is 5 s old", async () => {
    await site.start("gpu-1");
    await site.send("shared", "pull_model_1", {
      command: "pull_model",
      command_id: "pull_model_1",
      model_name: "phi5",
    });
    const { timestamp, ...answer } = site.replies.get("pull_model_1") ?? { timestamp: undefined };
    expect(timestamp).toBeString();
    expect(answer).toEqual({ success: true, message: "Started pulling model phi5:latest" });
    await site.clock.advance(4900);
    expect(site.lying("shared")).toEqual(["pull_model_1"]);
    await site.clock.advance(200);
    expect(site.lying("shared")).toEqual([]);
  });

  test("take() runs both commands when a version 1 id is written again within its second", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    await site.send("shared", "pull_model_1", { command: "pull_model", command_id: "pull_model_1", model_name: "a" });
    await site.clock.advance(300);
    await site.send("shared", "pull_model_1", { command: "pull_model", command_id: "pull_model_1", model_name: "b" });
    await site.clock.advance(6000);
    expect(ollama.calls).toEqual(["pull a:latest", "pull b:latest"]);
    expect(site.lying("shared")).toEqual([]);
  });

  test("take() resumes a command after a crash even if another with its id was answered after it was sent", async () => {
    const ollama = new ScriptedOllama();
    ollama.models = ["d1", "d2"].map((name) => ({ ...PHI4, name: `${name}:latest` }));
    const stuck = Promise.withResolvers<void>();
    const deleteModel = ollama.deleteModel.bind(ollama);
    ollama.deleteModel = async (name) => {
      await (name === "d1:latest" ? site.clock.sleep(500) : stuck.promise);
      await deleteModel(name);
    };
    const dir = site.stateDir();
    const first = await site.start("gpu-1", { ollama, dir });
    const id = "delete_model_1";
    for (const model_name of ["d1", "d2"]) {
      await site.send("shared", id, { command: "delete_model", command_id: id, model_name });
      await site.clock.advance(100);
    }
    await site.clock.advance(1_000);
    expect(ollama.calls).toEqual(["delete d1:latest"]);
    await site.kill(first);
    stuck.resolve();
    const again = new ScriptedOllama();
    again.models = [{ ...PHI4, name: "d2:latest" }];
    await site.start("gpu-1", { ollama: again, dir });
    await site.clock.advance(20_000);
    expect(again.calls).toEqual(["delete d2:latest"]);
  });

  test("take() refuses a list that is a minute old and a pull that is a day old, by the transport's clock", async () => {
    await site.send("shared", "list_models_1", { ...list, command_id: "list_models_1" });
    await site.clock.advance(61_000);
    await site.start("gpu-1");
    expect(site.replies.get("list_models_1")?.error).toContain("61 s old and was valid for 60 s");
    const second = await site.start("gpu-2");
    second.stop.abort();
    await site.send("shared", "pull_model_1", { command: "pull_model", model_name: "a" });
    expect(site.replies.get("pull_model_1")?.success).toBe(true);
  });

  test("take() answers under both names when command_id differs from the file's name", async () => {
    await site.start("gpu-1");
    await site.send("shared", "by_hand", list);
    expect([...site.replies.keys()].toSorted()).toEqual(["by_hand", "test_command"]);
  });

  test("take() answers in the legacy service's words when the model name is missing or the command is unknown", async () => {
    await site.start("gpu-1");
    await site.send("shared", "a", { command: "pull_model" });
    await site.send("shared", "b", { command: "x" });
    expect(site.replies.get("a")).toMatchObject({ success: false, error: "Model name is required" });
    expect(site.replies.get("b")).toMatchObject({ success: false, error: "Unknown command: x" });
    expect((await site.state("gpu-1")).refused_commands).toBe(0);
    await site.clock.advance(5000);
    expect((await site.state("gpu-1")).refused_commands).toBe(2);
  });

  test("take() runs a changing command once when two agents take it at the same time", async () => {
    const ran: string[] = [];
    for (const agent of ["gpu-1", "gpu-2"]) await listenToSharedInbox(agent, (model) => ran.push(model));
    for (let i = 0; i < 10; i++) {
      await site.send("shared", `delete_model_${i}`, { command: "delete_model", model_name: `m${i}` });
    }
    expect(ran.toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}:latest`));
    expect(site.replies.size).toBe(10);
  });
});

/** A worker that serves the shared inbox, whether or not another one does. */
async function listenToSharedInbox(agent: string, ran: (model: string) => void): Promise<void> {
  const transport = site.store.open();
  await transport.connect();
  const gathering = new Gathering(site.clock);
  const worker = new Worker({
    transport,
    identity: { agent, instance: `instance-of-${agent}`, host: agent, startedAt: "2026-01-02T03:04:05.000Z" },
    key: null,
    ledger: new Ledger(site.stateDir()),
    verbs: {
      run: async ({ model }) => {
        ran(model ?? "");
        return await Promise.resolve({ message: "done" });
      },
    },
    state: { publish: async () => await Promise.resolve(true) },
    activity: new Activity(site.clock),
    gathering,
    verifier: new Verifier({
      validity: { agent, listTtlMs: 60_000, changeTtlMs: 60_000 },
      mode: "off",
      keys: null,
      shareTime: null,
      transport,
      clock: site.clock,
      log: silentLog,
    }),
    clock: site.clock,
    log: silentLog,
  });
  const outage = new Outage({ clock: site.clock, log: silentLog });
  const condition = { servesSharedInbox: false };
  await new Intake({ agent, transport, worker, gathering, outage, condition }).open("shared");
}
