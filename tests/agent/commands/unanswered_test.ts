// Commands that end without an answer, because the share denied or hid something: they are taken again while they are there.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Unanswered } from "#src/agent/commands/unanswered.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import type { Delivery, Inbox, Listener, Transport } from "#src/transport.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
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
    const fix = deny(transport, "claim");
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

/** Delivers as the share driver does what this user may not read. */
function unreadable(inbox: Inbox, id: string): Delivery {
  const content = { refused: "is not readable by this user: owned by 0:0, mode 0000", mayPass: true };
  return { inbox, id, key: `${id}~0123456789abcdef`, content, sentAtMs: site.clock.now() };
}

/** An agent, and what its transport delivers to it. */
async function startHearing(ollama: ScriptedOllama) {
  const transport = site.store.open();
  const listeners = new Map<"own" | "shared", Listener>();
  const receive = transport.receive.bind(transport);
  transport.receive = async (inbox, listener) => {
    listeners.set(inbox === "shared" ? "shared" : "own", listener);
    return await receive(inbox, listener);
  };
  const agent = await site.start("gpu-1", { ollama, transport });
  return {
    ...agent,
    transport,
    deliver: (which: "own" | "shared", what: Delivery) => listeners.get(which)?.deliver(what),
  };
}

describe("a command that this user may not read", () => {
  test("is not refused while it is under way", async () => {
    const ollama = new ScriptedOllama();
    const { deliver } = await startHearing(ollama);
    const { promise: slow, resolve: end } = Promise.withResolvers<undefined>();
    ollama.trouble = slow;
    await site.command("gpu-1", "id-1", DELETE);
    deliver("own", unreadable(OWN, "id-1"));
    await settle();
    expect(site.replies.get("id-1")).toBeUndefined();
    end(undefined);
    await site.clock.advance(LONG_MS);
    expect(site.replies.get("id-1")).toMatchObject({ success: true });
    expect(site.lying(OWN)).toEqual([]);
  });

  test("gets no answer that would count as its own later, unless it is a list", async () => {
    const ollama = new ScriptedOllama();
    const { deliver } = await startHearing(ollama);
    for (const id of ["delete_model_1", "list_models_1"]) deliver("shared", unreadable("shared", id));
    await settle();
    expect([...site.replies.keys()]).toEqual(["list_models_1"]);
    expect(site.replies.get("list_models_1")?.error).toStartWith("is not readable by this user");
  });
});

describe("a command that was answered", () => {
  test("is removed when its folder, which was away as it was answered, is back", async () => {
    await site.start("gpu-1");
    const inbox = site.store.inboxes.get("agent gpu-1");
    const { platform } = site;
    const ping = { version: 2, command: "ping", command_id: "id-1", agent: "gpu-1", reply_to: "tester" };
    await platform.send(OWN, "id-1", JSON.stringify({ timestamp: "t", ttl_ms: 60_000, ...ping }), { durable: false });
    const entry = inbox?.get("id-1");
    if (entry === undefined) throw new Error("No command is there");
    inbox?.delete("id-1");
    await settle();
    expect(site.replies.get("id-1")?.success).toBe(true);
    inbox?.set("id-1", entry);
    await site.clock.advance(60_000);
    expect(site.lying(OWN)).toEqual([]);
  });

  test("is neither run nor answered again while it cannot be removed", async () => {
    const { transport } = await site.start("gpu-1");
    const fix = deny(transport, "release");
    let attempts = 0;
    const denied = transport.release.bind(transport);
    transport.release = async (delivery) => {
      attempts += 1;
      return await denied(delivery);
    };
    await site.command("gpu-1", "id-1", { command: "ping", ttl_ms: 60_000 });
    await site.clock.advance(600_000);
    expect(site.replies.get("id-1")?.success).toBe(true);
    expect(attempts).toBeWithin(60, 80);
    fix();
    await site.clock.advance(LONG_MS);
    expect(site.lying(OWN)).toEqual([]);
  });
});

test("the refusal of a command that is removed is published once that is allowed", async () => {
  const { transport, ledger } = await site.start("gpu-1");
  ledger.start = () => {
    throw new CourierError("exhausted", "Cannot write to the ledger: no space left");
  };
  const fix = deny(transport, "respond");
  await site.command("gpu-1", "id-1", DELETE);
  await site.clock.advance(LONG_MS);
  expect([site.replies.size, site.lying(OWN)]).toEqual([0, []]);
  fix();
  await site.clock.advance(LONG_MS);
  expect(site.replies.get("id-1")).toMatchObject({ success: false, code: "exhausted" });
});

test("a command that is delivered again by a later subscription is kept for that one", async () => {
  const ollama = new ScriptedOllama();
  const { transport } = await site.start("gpu-1", { ollama });
  const fix = deny(transport, "respond");
  await site.command("gpu-1", "id-1", { ...DELETE, ttl_ms: 600_000 });
  // Another agent has this name for a while: the inbox is closed and opened again while the command is in hand.
  await site.clock.advance(10_000);
  const state = await site.state("gpu-1");
  const other = { ...state, instance: "another", host: "other-host", sequence: 9 };
  await site.platform.publishState("gpu-1", JSON.stringify(other));
  await site.clock.advance(30_000);
  fix();
  await site.clock.advance(3 * LONG_MS);
  expect(site.replies.get("id-1")).toMatchObject({ success: true });
  expect([ollama.calls.length, site.lying(OWN)]).toEqual([1, []]);
});

describe("of more than 1,000 commands that are not ended", () => {
  /** Keeps many, and looks at each a minute later: it is there, and its call is denied until then. */
  function manyKept() {
    const clock = new ManualClock();
    const [taken, warned]: string[][] = [[], []];
    const unanswered = new Unanswered({
      transport: {
        isUnchanged: async () => await Promise.resolve(true),
        release: async () => await Promise.resolve(true),
      },
      hasRoom: () => true,
      takeAgain: ({ id }) => void taken?.push(id),
      clock,
      log: { ...silentLog, warn: (_, message) => void warned?.push(message) },
    });
    const keep = (count: number, kind: "there" | "missing" | "answered"): void => {
      for (let index = 0; index < count; index++) {
        const id = `${kind}-${index}`;
        const delivery: Delivery = { inbox: OWN, id, key: id, content: { text: "{}" }, sentAtMs: 0 };
        const subscribed = { sinceMs: 0, closed: new AbortController().signal };
        const left = { isAnswered: kind === "answered", isMissing: kind === "missing" };
        unanswered.keep({ delivery, subscribed, isClaimed: false, ...left });
      }
    };
    return { clock, keep, taken, warned, unanswered };
  }

  test("the withdrawn ones are forgotten first, then the answered ones, and the log shows it once", async () => {
    const { clock, keep, taken, warned, unanswered } = manyKept();
    keep(500, "there");
    keep(600, "missing");
    keep(450, "answered");
    keep(300, "there");
    await clock.advance(60_000);
    expect([taken?.filter((id) => id.startsWith("there")).length, taken?.length]).toEqual([500, 550]);
    expect(warned).toEqual(["Too many commands cannot be ended: the oldest are forgotten"]);
    unanswered.stop();
  });

  test("the oldest are forgotten when all are there", async () => {
    const { clock, keep, taken, unanswered } = manyKept();
    keep(1_100, "there");
    await clock.advance(60_000);
    expect([taken?.length, taken?.[0]]).toEqual([1_000, "there-100"]);
    unanswered.stop();
  });
});
