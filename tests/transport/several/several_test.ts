// src/transport/several: which transport an agent is reached on, and what one that is away changes for the others.
import { afterEach, describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { WatchedFleet } from "#src/courier/index/watched_fleet.ts";
import { Courier } from "#src/courier.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { several } from "#src/transport/several.ts";
import type { Transport } from "#src/transport.ts";
import type { KnownAgent } from "#src/trust/agents/known_agent.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import type { SigningKey } from "#src/trust/keys.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { OffsetClock } from "#tests/support/clocks/offset_clock.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { expectCode } from "#tests/transport/conformance/heard.ts";
import { testKey } from "#tests/trust/test_key.ts";

const AWAY = new CourierError("unavailable", "it is away");
const closing: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const each of closing.splice(0).toReversed()) await each.close();
});

/** Two stores, the first with the clock of a share, the second with heartbeats and a clock of its own; and a server on both. */
async function openSite(secondClockMs = 0, awayAtFirst: "second" | null = null) {
  const clock = new ManualClock();
  const [share, bus] = [new MemoryStore(clock), new MemoryStore(new OffsetClock(secondClockMs, clock), true)];
  return await openServer({ clock, share, bus }, awayAtFirst);
}

/** Another start of the server sees what is there. */
async function openServer(
  { clock, share, bus }: { readonly clock: ManualClock; readonly share: MemoryStore; readonly bus: MemoryStore },
  awayAtFirst: "second" | null = null,
  known: KnownAgent | null = null,
) {
  if (awayAtFirst !== null) bus.interrupt(AWAY);
  const agents = new KnownAgents();
  if (known !== null) agents.adopt("gpu-1", known);
  const named: string[] = [];
  const both = [onStore(share, "share", clock), onStore(bus, "bus", clock)] as const;
  const left = (description: string): void => void named.push(description);
  const transport = several(both, { keys: agents, clock, log: silentLog, left });
  closing.push(transport);
  await transport.connect();
  const fleet = new WatchedFleet({ transport, clock, log: silentLog, agents });
  const courier = new Courier(transport, { sender: "server", timeoutMs: 1_000, clock, fleet, agents });
  await fleet.open();
  await clock.advance(1_000);
  const open = async (store: MemoryStore, name: string, key: SigningKey | null = null, boot = 1) => {
    const agent = await ScriptedAgent.open({ open: () => store.open(clock) }, name, { key, boot });
    closing.push(agent);
    return agent;
  };
  /** `gpu-1 online`, or with the reason why not. */
  const seen = (): string[] => fleet.lastKnown().map(({ agent, reason }) => `${agent} ${reason ?? "online"}`);
  return { clock, share, bus, transport, fleet, courier, agents, named, open, seen };
}

/** It cannot be connected while the store is away. */
function onStore(store: MemoryStore, description: string, clock: ManualClock): Transport {
  const transport = store.open(clock);
  const connect = transport.connect.bind(transport);
  Object.defineProperty(transport, "description", { value: description });
  return Object.assign(transport, {
    connect: async () => {
      if (store.away !== undefined) throw store.away;
      await connect();
    },
  });
}

/** Lets the time pass that an answer takes. */
async function answered<Value>(clock: ManualClock, asking: Promise<Value>): Promise<Value> {
  void asking.catch(() => undefined);
  await clock.advance(50);
  return await asking;
}

describe("agents on two transports", () => {
  test("are one list, and each gets its commands where it is", async () => {
    const { clock, share, bus, courier, open, seen } = await openSite();
    const [one, two] = [await open(share, "gpu-1"), await open(bus, "gpu-2")];
    await clock.advance(1_000);
    expect(seen()).toEqual(["gpu-1 online", "gpu-2 online"]);
    await answered(clock, courier.pullModel("gpu-1", "phi4"));
    await answered(clock, courier.pullModel("gpu-2", "phi4"));
    expect([one.commands.length, two.commands.length]).toEqual([1, 1]);
    // Commands and responses that were read are gone.
    const left = [share, bus].flatMap(({ inboxes, replies }) => [...inboxes.values(), ...replies.values()]);
    expect(left.map(({ size }) => size).filter((size) => size > 0)).toEqual([]);
  });

  test("get commands that end by the clock of their own transport", async () => {
    const { clock, bus, transport, fleet, agents, open } = await openSite(3_600_000);
    const two = await open(bus, "gpu-2");
    await clock.advance(1_000);
    const courier = new Courier(transport, {
      sender: "server",
      timeoutMs: 1_000,
      clock,
      fleet,
      agents,
      signingKey: testKey(9),
    });
    await answered(clock, courier.ping("gpu-2"));
    expect(two.commands[0]?.expires_at).toBeGreaterThan(clock.now() + 3_600_000);
    await courier.close();
  });

  test("are silent by the looks of their own transport, whatever its clock says", async () => {
    const { clock, share, bus, open, seen } = await openSite(-3_600_000);
    const [one] = [await open(share, "gpu-1"), await open(bus, "gpu-2", testKey(1))];
    await clock.advance(1_000);
    expect(seen()).toEqual(["gpu-1 online", "gpu-2 online"]);
    for (let s = 0; s < 25; s += 5) {
      await clock.advance(5_000);
      await one.publish();
    }
    await clock.advance(1_000);
    expect(seen()).toEqual(["gpu-1 online", "gpu-2 silent"]);
  });
});

describe("a transport that is away", () => {
  test("makes its own agents stale, and no other's, until it is back", async () => {
    const { clock, share, bus, courier, open, seen } = await openSite();
    const [one, two] = [await open(share, "gpu-1"), await open(bus, "gpu-2")];
    await clock.advance(1_000);
    bus.interrupt(AWAY);
    for (let s = 0; s < 25; s += 5) {
      await clock.advance(5_000);
      await one.publish();
    }
    expect(seen()).toEqual(["gpu-1 online", "gpu-2 share_stale"]);
    const { unavailable } = await courier.listJobs();
    expect(unavailable.map(({ agent }) => agent)).toEqual(["gpu-2"]);
    await answered(clock, courier.ping("gpu-1"));
    await expectCode(courier.ping("gpu-2"), "unavailable");

    bus.restore(clock);
    await clock.advance(1_000);
    expect(seen()).toEqual(["gpu-1 online", "gpu-2 online"]);
    await answered(clock, courier.ping("gpu-2"));
    expect(two.commands.length).toBe(1);
  });

  test("holds up nothing at the start, is named, and joins when it is there", async () => {
    const { clock, share, bus, courier, named, open, seen } = await openSite(0, "second");
    await open(share, "gpu-1");
    await clock.advance(5_000);
    expect([seen(), named]).toEqual([["gpu-1 online"], ["bus"]]);
    await expectCode(courier.agent("gpu-2"), "unavailable");
    bus.restore(clock);
    await open(bus, "gpu-2");
    await clock.advance(3_000);
    expect(seen()).toEqual(["gpu-1 online", "gpu-2 online"]);
    await answered(clock, courier.ping("gpu-2"));
  });

  test("is an outage once it is the last one, which ends with the first that is back", async () => {
    const { clock, share, bus, fleet, open, seen } = await openSite();
    await open(share, "gpu-1");
    await open(bus, "gpu-2");
    await clock.advance(1_000);
    bus.interrupt(AWAY);
    share.interrupt(AWAY);
    await clock.advance(1_000);
    await expectCode(fleet.read(), "unavailable");
    share.restore(clock);
    await clock.advance(1_000);
    expect([await fleet.read().then(() => "read"), ...seen()]).toEqual(["read", "gpu-1 online", "gpu-2 share_stale"]);
  });
});

describe("an agent that moves", () => {
  for (const key of [testKey(1), null])
    test(`is followed to the other transport, ${key === null ? "by its instance" : "by its key"}`, async () => {
      const { clock, share, bus, courier, fleet, open, seen } = await openSite();
      const before = await open(share, "gpu-1", key, 5);
      await clock.advance(1_000);
      await before.publish({ status: "stopped" });
      await clock.advance(1_000);
      expect(seen()).toEqual(["gpu-1 stopped"]);
      const after = await open(bus, "gpu-1", key, 6);
      await clock.advance(1_000);
      expect([seen(), fleet.index.view("gpu-1")?.key?.trouble ?? null]).toEqual([["gpu-1 online"], null]);
      await answered(clock, courier.ping("gpu-1"));
      expect([before.commands.length, after.commands.length]).toEqual([0, 1]);
    });

  test("leaves no trouble behind for a server that starts later and knows its key", async () => {
    const site = await openSite();
    const before = await site.open(site.share, "gpu-1", testKey(1), 3);
    await before.publish({ status: "stopped" });
    await site.open(site.bus, "gpu-1", testKey(1), 6);
    const gone = await site.open(site.share, "gpu-2", testKey(2), 1);
    await gone.publish({ status: "stopped" });
    await site.clock.advance(1_000);
    const known = site.agents.known("gpu-1") ?? expect.unreachable();
    const later = await openServer(site, null, known);
    expect([later.seen(), later.agents.troubles.all()]).toEqual([["gpu-1 online", "gpu-2 stopped"], []]);
  });

  test("is withdrawn from where the command went, not from where the agent is now", async () => {
    const { clock, share, bus, courier, open } = await openSite();
    const before = await open(share, "gpu-1", testKey(1), 5);
    before.answer = () => undefined;
    await clock.advance(1_000);
    const pulling = expectCode(courier.pullModel("gpu-1", "phi4"), "deadline_exceeded");
    await clock.advance(500);
    await before.publish({ status: "stopped" });
    await open(bus, "gpu-1", testKey(1), 6);
    await clock.advance(1_000);
    await pulling;
    expect([...share.inboxes.values()].map(({ size }) => size)).toEqual([0, 0]);
  });

  test("is forgotten with what it left behind", async () => {
    const { clock, share, bus, courier, open, seen } = await openSite();
    const before = await open(share, "gpu-1", testKey(1), 5);
    await before.publish({ status: "stopped" });
    const after = await open(bus, "gpu-1", testKey(1), 6);
    await clock.advance(1_000);
    await after.publish({ status: "stopped" });
    await clock.advance(30_000);
    await courier.forget("gpu-1");
    await clock.advance(2_000);
    expect([seen(), share.states.size, bus.states.size]).toEqual([[], 0, 0]);
  });
});

describe("two agents with one name", () => {
  /** What the doctor says about the name. */
  async function verdictOn(transport: Transport): Promise<string | undefined> {
    const checks = await Array.fromAsync(transport.examine());
    const found = checks.find(({ check, subject }) => check === "transports" && subject === "gpu-1");
    return found === undefined ? undefined : `${found.result}: ${found.message}`;
  }

  test("the one whose key is known serves; both alive with different keys are a conflict", async () => {
    const { clock, share, bus, courier, transport, open } = await openSite();
    const second = await open(bus, "gpu-1", testKey(2));
    await clock.advance(1_000);
    await open(share, "gpu-1", testKey(3));
    await clock.advance(1_000);
    await answered(clock, courier.ping("gpu-1"));
    expect(second.commands.length).toBe(1);
    expect(await verdictOn(transport)).toBe(
      "failed: Conflict: two agents have this name and sign with different keys: the one on bus is used, the one on share is not",
    );
  });

  test("of unsigned ones the first transport's serves while it is alive, then the other", async () => {
    const { clock, share, bus, courier, transport, open } = await openSite();
    const second = await open(bus, "gpu-1");
    await second.publishRaw({ instance: "another" });
    const first = await open(share, "gpu-1");
    await clock.advance(1_000);
    await answered(clock, courier.ping("gpu-1"));
    expect([first.commands.length, second.commands.length]).toEqual([1, 0]);
    expect(await verdictOn(transport)).toBe(
      "warning: Two agents have this name: the one on share is used, the one on bus is not",
    );
    await first.publish({ status: "stopped" });
    await clock.advance(1_000);
    await second.publishRaw({ instance: "another" });
    await clock.advance(1_000);
    await answered(clock, courier.ping("gpu-1"));
    expect(second.commands.length).toBe(1);
  });

  test("one key that is alive on both is a cloned disk", async () => {
    const { clock, share, bus, transport, open } = await openSite();
    await open(share, "gpu-1", testKey(1), 5);
    await open(bus, "gpu-1", testKey(1), 6);
    await clock.advance(1_000);
    expect(await verdictOn(transport)).toBe("warning: It publishes its state on bus and on share");
  });

  test("a document that the known key did not sign takes no commands away", async () => {
    const { clock, share, bus, courier, open } = await openSite();
    const real = await open(bus, "gpu-1", testKey(1));
    await clock.advance(1_000);
    const forged = await open(share, "gpu-1");
    await clock.advance(1_000);
    await answered(clock, courier.ping("gpu-1"));
    expect([real.commands.length, forged.commands.length]).toEqual([1, 0]);
  });
});

test("publishRoster() publishes on each transport, and readRoster() finds the newest", async () => {
  const { share, bus, transport } = await openSite();
  await transport.publishRoster('{"serial":1}');
  expect([share.roster, bus.roster]).toEqual(['{"serial":1}', '{"serial":1}']);
  bus.roster = '{"serial":2}';
  expect(await transport.readRoster()).toEqual({ text: '{"serial":2}' });
  bus.interrupt(AWAY);
  expect(await transport.readRoster()).toEqual({ text: '{"serial":1}' });
  await expectCode(transport.publishRoster("{}"), "unavailable");
});

test("readStates() leaves out a transport that was away from the start, and fails for one that was read before", async () => {
  const { clock, share, bus, transport, open } = await openSite(0, "second");
  await open(share, "gpu-1");
  expect((await transport.readStates()).map(({ agent }) => agent)).toEqual(["gpu-1"]);
  bus.restore(clock);
  await transport.connect();
  await open(bus, "gpu-2");
  expect((await transport.readStates()).map(({ agent }) => agent)).toEqual(["gpu-1", "gpu-2"]);
  bus.interrupt(AWAY);
  await expectCode(transport.readStates(), "unavailable");
});
