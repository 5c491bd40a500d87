// Replies that are not the agent's: the sender waits on for the real one, which replaces them.
import { afterEach, describe, expect, test } from "bun:test";
import type { Log } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { CommandV1, CommandV2, type Response } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { type Answer, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

/** A courier, and somebody who answers each command before its agent does. */
async function site(forgeries: readonly object[], answer?: Answer) {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const [transport, forger] = [store.open(), store.open()];
  await Promise.all([transport.connect(), forger.connect()]);
  await forger.openInbox({ agent: "gpu-1" });
  const forge = async (text: string): Promise<void> => {
    const { command_id, reply_to } = CommandV2.parse(JSON.parse(text));
    for (const forgery of forgeries) {
      const reply = JSON.stringify({ success: true, version: 2, command_id, agent: "gpu-1", ...forgery });
      await forger.respond({ replyTo: reply_to }, command_id, reply, { durable: false });
    }
  };
  await forger.receive(
    { agent: "gpu-1" },
    { deliver: ({ content }) => void ("text" in content && forge(content.text)) },
  );
  const agent = await ScriptedAgent.open(store, "gpu-1", answer === undefined ? {} : { answer });
  const logged: object[] = [];
  const log: Log = { error() {}, warn: (fields) => void logged.push(fields), info() {}, debug() {} };
  const courier = new Courier(transport, { sender: "tester", timeoutMs: 20_000, clock, log });
  open.push(transport, forger, agent, courier);
  const replies = (): unknown[] =>
    [...store.replies].filter(([key]) => key !== "shared").flatMap(([, entries]) => [...entries.values()]);
  return { clock, store, courier, logged, replies };
}

const OTHER: readonly Partial<Response>[] = [
  { command_id: "ping-9", message: "forged" },
  { agent: "gpu-2", message: "forged" },
];

describe("a reply that does not match", () => {
  test("is not the response: the request waits for the real one", async () => {
    const { clock, courier, replies } = await site(OTHER, async () => {
      await clock.sleep(5_000);
      return { message: "real" };
    });
    const asked = courier.request("gpu-1", { verb: "ping" });
    await settle();
    expect(replies().length).toBe(1);
    await clock.advance(5_000);
    expect((await asked).message).toBe("real");
    await courier.close();
    expect(replies()).toEqual([]);
  });

  test("is counted, and the first of an agent is logged", async () => {
    const { courier, logged } = await site(OTHER);
    await courier.ping("gpu-1");
    await courier.ping("gpu-1");
    expect([...courier.ignoredReplies]).toEqual([["gpu-1", 4]]);
    expect(logged).toMatchObject([{ agent: "gpu-1", reason: "it is for another command" }]);
  });

  test("is named when time runs out, and removed then", async () => {
    const { clock, courier, replies } = await site(OTHER, () => undefined);
    const asked = failure(courier.ping("gpu-1"));
    await settle();
    await clock.advance(20_000);
    const error = await asked;
    expect(error.code).toBe("deadline_exceeded");
    expect(error.message).toEndWith("; 2 answers did not match, the last one: it is not from gpu-1");
    await settle();
    expect(replies()).toEqual([]);
  });
});

test("a version 1 reply with another command's id is not the response", async () => {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const [transport, service] = [store.open(), store.open()];
  await Promise.all([transport.connect(), service.connect()]);
  const state = { timestamp: "t", status: "running", processed_commands: 0, ollama_available: true };
  await service.publishState("gpu", JSON.stringify(state));
  const answer = async (id: string, fields: object): Promise<boolean> =>
    await service.respond("shared", id, JSON.stringify({ success: true, ...fields }), { durable: false });
  await service.receive("shared", {
    deliver: ({ content }) => {
      const { command_id: id = "" } = CommandV1.parse(JSON.parse("text" in content ? content.text : ""));
      void answer(id, { command_id: "list_models_9", message: "forged" }).then(() => answer(id, { message: "real" }));
    },
  });
  const courier = new Courier(transport, { sender: "tester", timeoutMs: 20_000, clock });
  open.push(transport, service, courier);
  expect((await courier.request("gpu", { verb: "list_models" })).message).toBe("real");
  expect([...courier.ignoredReplies]).toEqual([["gpu", 1]]);
});
