// Commands as a sender with a key signs them, and what a sender without one does not send.
import { afterEach, expect, test } from "bun:test";
import { Courier } from "#src/courier.ts";
import type { State } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { SigningKey } from "#src/trust/keys.ts";
import { findSignature, isSignedBy } from "#src/trust/signature.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { testKey } from "#tests/trust/test_key.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

/** A courier and an agent, the texts of its commands, and the share's time. */
async function site(signingKey: SigningKey | null, change: Partial<State> = {}) {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const [transport, listener] = [store.open(), store.open()];
  await Promise.all([transport.connect(), listener.connect()]);
  const agent = await ScriptedAgent.open(store, "gpu-1");
  await agent.publish(change);
  const texts: string[] = [];
  await listener.receive(
    { agent: "gpu-1" },
    { deliver: ({ content }) => void texts.push("text" in content ? content.text : "") },
  );
  const courier = new Courier(transport, { sender: "tester", timeoutMs: 20_000, signingKey, clock });
  open.push(transport, listener, agent, courier);
  return { agent, courier, texts, nowMs: transport.now() };
}

test("a request is signed over its bytes, with its end on the transport's clock", async () => {
  const { agent, courier, texts, nowMs } = await site(testKey());
  await courier.pullModel("gpu-1", "phi4", { timeoutMs: 5000 });
  const signature = findSignature(texts[0] ?? "") ?? expect.unreachable();
  expect(signature.keyId).toBe(testKey().id);
  expect(isSignedBy("command", signature, testKey())).toBe(true);
  expect(agent.commands[0]).toMatchObject({ ttl_ms: 5000, expires_at: nowMs + 5000 });
});

test("a request without a key is the same as before", async () => {
  const { agent, courier } = await site(null);
  await courier.ping("gpu-1");
  expect(Object.keys(agent.commands[0] ?? {})).not.toContain("expires_at");
  expect(Object.keys(agent.commands[0] ?? {})).not.toContain("signature");
});

test.each([
  ["changing", ["forbidden", "sent"]],
  ["all", ["forbidden", "forbidden"]],
  ["warn", ["sent", "sent"]],
  ["of a later release", ["sent", "sent"]],
])("a request without a key is not sent when the agent would refuse it, in mode %s", async (mode, outcomes) => {
  const { agent, courier } = await site(null, { requires_signatures: mode });
  const outcome = async (sending: Promise<unknown>): Promise<string> =>
    await sending.then(
      () => "sent",
      ({ code }) => code,
    );
  const seen = [await outcome(courier.pullModel("gpu-1", "phi4")), await outcome(courier.ping("gpu-1"))];
  expect(seen).toEqual(outcomes);
  expect(agent.commands.length).toBe(outcomes.filter((each) => each === "sent").length);
});

test("a request with a key is sent to an agent that requires signatures", async () => {
  const { agent, courier } = await site(testKey(), { requires_signatures: "all" });
  await courier.ping("gpu-1");
  expect(agent.commands.length).toBe(1);
});
