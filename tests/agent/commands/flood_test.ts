// More commands than an agent takes in hand: the others stay in their inbox, counted, until there is room.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { type Log, silentLog } from "#src/base/log.ts";
import { LIMITS } from "#src/protocol.ts";
import type { Delivery } from "#src/transport.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

const HELD = { command: "list_models", ttl_ms: 600_000 };

let site: MemorySite;
let ollama: ScriptedOllama;
let logged: string[];
let log: Log;
beforeEach(async () => {
  site = new MemorySite();
  ollama = new ScriptedOllama();
  logged = [];
  const note = (_: object, message: string): void => void logged.push(message);
  log = { ...silentLog, warn: note, info: note };
  await site.listen({ replyTo: "tester" });
});
afterEach(async () => await site.close());

/** Ollama answers no list until it is released. */
function holdOllama(): () => void {
  const held = Promise.withResolvers<void>();
  ollama.trouble = held.promise;
  return () => held.resolve();
}

async function fill(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const common = {
      timestamp: "2026-01-02T03:04:05Z",
      version: 2,
      command_id: `id-${n}`,
      agent: "gpu-1",
      reply_to: "tester",
    };
    await site.platform.send({ agent: "gpu-1" }, `id-${n}`, JSON.stringify({ ...common, ...HELD }), { durable: false });
  }
  await site.clock.advance(6_000);
}

describe("an agent with 1,200 commands in its inbox", () => {
  test("takes 1,000 in hand, shows the others in its state, logs that once, and answers all", async () => {
    await site.start("gpu-1", { ollama, log });
    await site.clock.advance(1_000);
    const release = holdOllama();
    await fill(1_200);
    expect((await site.state("gpu-1")).waiting_commands).toBe(1_200 - LIMITS.commandsInHand);
    expect(logged.filter((line) => line.includes("stay in their inbox"))).toEqual([
      "Too many commands: some stay in their inbox for now",
    ]);
    release();
    await site.clock.advance(20_000);
    expect([site.replies.size, site.lying({ agent: "gpu-1" })]).toEqual([1_200, []]);
    expect((await site.state("gpu-1")).waiting_commands).toBeUndefined();
    expect(logged.filter((line) => line.includes("stay in their inbox"))[1]).toBe(
      "No commands stay in their inbox any more",
    );
  });

  test("has them in hand although the shared inbox is as full", async () => {
    await site.start("gpu-1", { ollama, log });
    await site.clock.advance(6_000);
    const release = holdOllama();
    for (let n = 0; n < 1_200; n++)
      await site.platform.send("shared", `list_models_${n}`, '{"command":"list_models"}', { durable: false });
    await site.clock.advance(6_000);
    expect((await site.state("gpu-1")).waiting_commands).toBe(1_200 - LIMITS.commandsInHand / 2);
    await site.command("gpu-1", "ping-1", { command: "ping" });
    expect(site.replies.get("ping-1")?.success).toBe(true);
    release();
    await site.clock.advance(20_000);
    expect((await site.state("gpu-1")).waiting_commands).toBeUndefined();
  });
});

test("a start resumes all of its claimed commands, though the first 500 cannot be ended", async () => {
  await claim700();
  const transport = site.store.open();
  const claim = transport.claim.bind(transport);
  transport.claim = async (delivery, holder) => {
    if (Number(delivery.id.slice("delete_model_".length)) < 500) throw new CourierError("forbidden", "a link is there");
    return await claim(delivery, holder);
  };
  await site.start("gpu-1", { ollama, log, sharedInbox: "off", transport });
  await site.clock.advance(60_000);
  expect(site.lying("shared").length).toBe(500);
});

/** Commands of the shared inbox that the agent claimed before it ended. */
async function claim700(): Promise<void> {
  await site.platform.connect();
  for (let n = 0; n < 700; n++)
    await site.platform.send(
      "shared",
      `delete_model_${String(n).padStart(3, "0")}`,
      `{"command":"delete_model","model_name":"m${n}"}`,
      {
        durable: false,
      },
    );
  const seen: Delivery[] = [];
  const subscription = await site.platform.receive("shared", { deliver: (delivery) => void seen.push(delivery) });
  await site.clock.advance(1);
  await subscription.close();
  for (const delivery of seen) await site.platform.claim(delivery, { agent: "gpu-1", instance: "instance-of-gpu-1" });
}

test("a start resumes no more of its claimed commands than there is room for, and the others later", async () => {
  const held = holdOllama();
  await claim700();
  await site.start("gpu-1", { ollama, log, sharedInbox: "off" });
  await site.clock.advance(11_000);
  expect(site.lying("shared").length).toBe(700);
  held();
  await site.clock.advance(60_000);
  expect(site.lying("shared")).toEqual([]);
});
