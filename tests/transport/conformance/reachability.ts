// Scenarios: connecting, closing, and a transport that goes away and comes back.
import { expect } from "bun:test";
import type { Delivery, Transport } from "#src/transport.ts";
import { until } from "#tests/support/until.ts";
import { FAST, GPU, OWN } from "./addresses.ts";
import { expectCode, Heard, HeardReplies, HeardStates } from "./heard.ts";
import type { Bench, Scenario } from "./scenario.ts";

const DELIVERY: Delivery = { inbox: GPU, id: "a", key: "a~0123456789abcdef", content: { text: "{}" }, sentAtMs: 0 };

type At = Pick<Bench, "inbox" | "addresses">;

/** Every method that touches the transport, by name. */
function callsOf(transport: Transport, { inbox, addresses }: At): Record<string, () => Promise<unknown>> {
  const address = addresses.at(-1) ?? OWN;
  const holder = { agent: "gpu-1", instance: "i" };
  return {
    send: async () => await transport.send(inbox, "a", "{}", FAST),
    withdraw: async () => await transport.withdraw(inbox, "a"),
    openReplies: async () =>
      await transport.openReplies(
        { replyTo: "ctl-1" },
        () => true,
        () => true,
      ),
    releaseReply: async () => await transport.releaseReply(address, "a"),
    openInbox: async () => await transport.openInbox(GPU),
    receive: async () => await transport.receive(inbox, { deliver: () => undefined }),
    commandsIn: async () => await transport.commandsIn(inbox, () => true, 10),
    isUnchanged: async () => await transport.isUnchanged(DELIVERY),
    // It has no meaning elsewhere.
    ...(inbox === "shared" ? { claim: async () => await transport.claim(DELIVERY, holder) } : {}),
    claimedBy: async () => await transport.claimedBy(holder),
    release: async () => await transport.release(DELIVERY),
    respond: async () => await transport.respond(address, "a", "{}", FAST),
    respondedAtMs: async () => await transport.respondedAtMs(address, "a"),
    publishState: async () => await transport.publishState("gpu-1", "{}"),
    renewState: async () => await transport.renewState("gpu-1", 1, "{}"),
    watchStates: async () => await transport.watchStates(new HeardStates()),
    sweep: async () => await transport.sweep("everything"),
    forget: async () => await transport.forget("gpu-2", 0),
    readStates: async () => await transport.readStates(),
    openStates: async () => await transport.openStates().read(() => undefined),
    readState: async () => await transport.readState("gpu-1"),
    publishRoster: async () => await transport.publishRoster("{}"),
    readRoster: async () => await transport.readRoster(),
  };
}

async function expectAllUnavailable(transport: Transport, at: At): Promise<void> {
  for (const call of Object.values(callsOf(transport, at))) await expectCode(call(), "unavailable");
}

export const REACHABILITY_SCENARIOS: readonly Scenario[] = [
  {
    name: "connect() makes every method usable; before, each throws unavailable",
    run: async ({ handle, ...at }) => {
      const transport = handle();
      await expectAllUnavailable(transport, at);
      await transport.connect();
      await transport.connect();
      await transport.openInbox(GPU);
      for (const call of Object.values(callsOf(transport, at))) await call();
    },
  },
  {
    name: "close() ends every subscription of the handle, and no other's, when called once or again",
    run: async ({ connected, ...at }) => {
      const [closed, open] = [await connected(), await connected()];
      await closed.openInbox(GPU);
      const [deaf, hearing] = [await Heard.at(closed, GPU), await Heard.at(open, GPU)];
      await HeardReplies.at(closed, { replyTo: "ctl-1" });
      await closed.close();
      await closed.close();
      await expectAllUnavailable(closed, at);
      expect(await open.respond({ replyTo: "ctl-1" }, "ping-1", "{}", FAST)).toBe(false);
      await open.send(GPU, "ping-1", "{}", FAST);
      await until(() => hearing.ids.length === 1);
      expect(deaf.ids).toEqual([]);
    },
  },
  {
    name: "now() is one clock when asked through several handles",
    run: async ({ connected }) => {
      const [one, two] = [await connected(), await connected()];
      expect(Math.abs(one.now() - two.now())).toBeLessThan(500);
      const beforeMs = one.now();
      await until(() => one.now() > beforeMs + 20);
      await until(() => two.now() > beforeMs + 20);
    },
  },
  {
    name: "description names the transport before and after connecting",
    run: async ({ handle }) => {
      const transport = handle();
      expect(transport.description).not.toBe("");
      await transport.connect();
      expect(transport.description).not.toBe("");
    },
  },
  {
    name: "connect() throws unavailable when the transport is not there, and resolves when it is",
    run: async ({ store, handle }) => {
      const transport = handle();
      await store.interrupt();
      await expectCode(transport.connect(), "unavailable");
      await store.restore();
      await transport.connect();
      expect(await transport.readStates()).toEqual([]);
    },
  },
  {
    name: "examine() reports no failure on a healthy transport, connected or not, and leaves nothing behind",
    run: async ({ handle, connected, inbox }) => {
      const open = await connected();
      await open.openInbox(GPU);
      for (const transport of [handle(), open]) {
        const checks = await Array.fromAsync(transport.examine());
        expect(checks.filter(({ result }) => result === "failed")).toEqual([]);
        const names = checks.map(({ check, subject }) => `${check} ${subject}`);
        expect([names.length > 0, new Set(names).size]).toEqual([true, names.length]);
      }
      expect(await open.readStates()).toEqual([]);
      const heard = await Heard.at(open, inbox);
      await open.send(inbox, "ping-1", "{}", FAST);
      await until(() => heard.ids.length === 1);
      expect(heard.refused).toEqual([]);
    },
  },
  {
    name: "examine() reports failures with hints while the transport is away",
    run: async ({ store, connected }) => {
      const transport = await connected();
      await store.interrupt();
      const failed = (await Array.fromAsync(transport.examine())).filter(({ result }) => result === "failed");
      await store.restore();
      expect(failed.length).toBeGreaterThan(0);
      for (const { message, hint } of failed) expect([message === "", hint === null]).toEqual([false, false]);
    },
  },
  {
    name: "every method throws unavailable while the transport is away, and works when it is back",
    run: async ({ store, connected, ...at }) => {
      const transport = await connected();
      await transport.openInbox(GPU);
      await store.interrupt();
      await expectAllUnavailable(transport, at);
      await store.restore();
      for (const call of Object.values(callsOf(transport, at))) await call();
    },
  },
  {
    name: "receive() reports one interruption and one restoration, and continues by itself",
    run: async ({ store, connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      const heard = await Heard.at(agent, GPU);
      await sender.send(GPU, "ping-1", "{}", FAST);
      await until(() => heard.ids.length === 1);
      await store.interrupt();
      await until(() => heard.interruptions.length === 1);
      await store.restore();
      await until(() => heard.restored === 1);
      await sender.send(GPU, "ping-2", "{}", FAST);
      await until(() => heard.ids.length === 2);
      expect([heard.ids, heard.interruptions.length, heard.restored]).toEqual([["ping-1", "ping-2"], 1, 1]);
      // Complete at the beginning, and again after the interruption.
      expect(heard.completions.length).toBe(2);
    },
  },
  {
    name: "openReplies() continues by itself after the transport was away",
    run: async ({ store, connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      const heard = await HeardReplies.at(sender, { replyTo: "ctl-1" });
      await store.interrupt();
      await expectCode(agent.respond({ replyTo: "ctl-1" }, "ping-1", "{}", FAST), "unavailable");
      await store.restore();
      expect(await agent.respond({ replyTo: "ctl-1" }, "ping-1", "{}", FAST)).toBe(true);
      await until(() => heard.ids.length === 1);
    },
  },
];
