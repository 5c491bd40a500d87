// Commands that end without an answer, because the share denied or hid something: they are taken again while they are there.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import type { Listener, Transport } from "#src/transport.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
beforeEach(async () => {
  site = new MemorySite();
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

const OWN = { agent: "gpu-1" };
const DELETE = { command: "delete_model", model_name: "phi4" };
/** Longer than the agent repeats a call that is denied. */
const LONG_MS = 130_000;

/** Makes calls fail as on a share that is mounted read-only. @returns a function that ends it */
function deny(
  transport: Transport,
  ...calls: readonly ("respond" | "release" | "claim" | "isUnchanged")[]
): () => void {
  const denied = async (): Promise<never> => {
    const cause = Object.assign(new Error("planted"), { code: "EROFS" });
    throw new CourierError("forbidden", "the share is mounted read-only", { cause });
  };
  const before = Object.fromEntries(calls.map((call) => [call, transport[call].bind(transport)]));
  Object.assign(transport, Object.fromEntries(calls.map((call) => [call, denied])));
  return () => void Object.assign(transport, before);
}

describe("a command that is done", () => {
  test("is answered and removed once its answer may be published, however long that took", async () => {
    const ollama = new ScriptedOllama();
    const { transport } = await site.start("gpu-1", { ollama });
    const fix = deny(transport, "respond", "release");
    await site.command("gpu-1", "id-1", { ...DELETE, ttl_ms: 600_000 });
    await site.clock.advance(LONG_MS);
    expect([ollama.calls.length, site.replies.size, site.lying(OWN)]).toEqual([1, 0, ["id-1"]]);
    fix();
    await site.clock.advance(LONG_MS);
    expect(site.replies.get("id-1")).toMatchObject({ success: true });
    expect([ollama.calls.length, site.lying(OWN)]).toEqual([1, []]);
  });

  test("is removed once that is allowed, also in the shared inbox, where this agent has claimed it", async () => {
    const ollama = new ScriptedOllama();
    const { transport } = await site.start("gpu-1", { ollama });
    const fix = deny(transport, "respond", "release");
    await site.send("shared", "delete_model_1", DELETE);
    await site.clock.advance(LONG_MS);
    fix();
    await site.clock.advance(LONG_MS);
    expect(site.replies.get("delete_model_1")).toMatchObject({ success: true });
    expect([ollama.calls.length, site.lying("shared")]).toEqual([1, []]);
  });
});

describe("a command that is not begun", () => {
  test("is run when its file is back, after a moment in which its inbox was away", async () => {
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama });
    const { promise: first, resolve: end } = Promise.withResolvers<undefined>();
    ollama.trouble = first;
    await site.command("gpu-1", "id-1", { ...DELETE, ttl_ms: 600_000 });
    const copy = { command: "copy_model", model_name: "phi4", arguments: { destination: "x" }, ttl_ms: 600_000 };
    await site.command("gpu-1", "id-2", copy);
    const inbox = site.store.inboxes.get("agent gpu-1");
    const waiting = inbox?.get("id-2");
    if (waiting === undefined) throw new Error("No command waits");
    inbox?.delete("id-2");
    end(undefined);
    await site.clock.advance(2_000);
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
    inbox?.set("id-2", waiting);
    await site.clock.advance(60_000);
    expect(site.replies.get("id-2")).toMatchObject({ success: true });
    expect(site.lying(OWN)).toEqual([]);
  });

  test("stays without an answer when its claim is denied, and is run once that is allowed", async () => {
    const ollama = new ScriptedOllama();
    const { transport } = await site.start("gpu-1", { ollama });
    const fix = deny(transport, "claim", "respond", "release");
    await site.send("shared", "delete_model_1", DELETE);
    await site.clock.advance(LONG_MS);
    expect([ollama.calls.length, site.replies.size, site.lying("shared")]).toEqual([0, 0, ["delete_model_1"]]);
    fix();
    await site.clock.advance(LONG_MS);
    expect(site.replies.get("delete_model_1")).toMatchObject({ success: true });
    expect([ollama.calls.length, site.lying("shared")]).toEqual([1, []]);
  });

  test("is looked for after longer and longer pauses, and in the end no more, when its sender withdrew it", async () => {
    const ollama = new ScriptedOllama();
    const { transport } = await site.start("gpu-1", { ollama });
    let looks = 0;
    const isUnchanged = transport.isUnchanged.bind(transport);
    transport.isUnchanged = async (delivery) => {
      looks += 1;
      return await isUnchanged(delivery);
    };
    const { promise: first, resolve: end } = Promise.withResolvers<undefined>();
    ollama.trouble = first;
    await site.command("gpu-1", "id-1", DELETE);
    await site.command("gpu-1", "id-2", DELETE);
    await site.platform.withdraw(OWN, "id-2");
    end(undefined);
    await site.clock.advance(3 * 3_600_000);
    expect(ollama.calls.length).toBe(1);
    expect(looks).toBeWithin(5, 12);
  });
});

describe("a changing command that is refused", () => {
  test("is removed before it is refused, and is run later if it cannot be removed", async () => {
    const ollama = new ScriptedOllama();
    const { transport, ledger } = await site.start("gpu-1", { ollama });
    const start = ledger.start.bind(ledger);
    ledger.start = () => {
      throw new CourierError("exhausted", "Cannot write to the ledger: no space left");
    };
    const fix = deny(transport, "release");
    await site.command("gpu-1", "id-1", { ...DELETE, ttl_ms: 600_000 });
    await site.clock.advance(LONG_MS);
    expect([site.replies.size, site.lying(OWN)]).toEqual([0, ["id-1"]]);
    ledger.start = start;
    await site.clock.advance(LONG_MS);
    fix();
    await site.clock.advance(LONG_MS);
    expect(site.replies.get("id-1")).toMatchObject({ success: true });
    expect([ollama.calls, site.lying(OWN)]).toEqual([["delete phi4:latest"], []]);
  });

  test("is gone from the inbox when its refusal is published", async () => {
    const { transport, ledger } = await site.start("gpu-1");
    ledger.start = () => {
      throw new CourierError("exhausted", "Cannot write to the ledger: no space left");
    };
    const lay: (readonly string[])[] = [];
    const respond = transport.respond.bind(transport);
    transport.respond = async (...response) => {
      lay.push(site.lying(OWN));
      return await respond(...response);
    };
    await site.command("gpu-1", "id-1", DELETE);
    expect(site.replies.get("id-1")).toMatchObject({ success: false, code: "exhausted" });
    expect(lay).toEqual([[]]);
  });
});

test("a command under way is not refused when this user may not read its file any more", async () => {
  const ollama = new ScriptedOllama();
  const transport = site.store.open();
  const listeners: Listener[] = [];
  const receive = transport.receive.bind(transport);
  transport.receive = async (inbox, listener) => {
    if (inbox !== "shared") listeners.push(listener);
    return await receive(inbox, listener);
  };
  await site.start("gpu-1", { ollama, transport });
  const { promise: slow, resolve: end } = Promise.withResolvers<undefined>();
  ollama.trouble = slow;
  await site.command("gpu-1", "id-1", DELETE);
  const content = { refused: "is not readable by this user: owned by 0:0, mode 0000" };
  const refused = { inbox: OWN, id: "id-1", key: "id-1~0123456789abcdef", content, sentAtMs: site.clock.now() };
  for (const listener of listeners) listener.deliver(refused);
  await settle();
  expect(site.replies.get("id-1")).toBeUndefined();
  end(undefined);
  await site.clock.advance(LONG_MS);
  expect(site.replies.get("id-1")).toMatchObject({ success: true });
  expect(site.lying(OWN)).toEqual([]);
});
