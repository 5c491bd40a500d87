// Scenarios: a sweep removes what nobody will read any more, and nothing else.
import { expect } from "bun:test";
import type { Delivery, Removed, SweepScope, Transport } from "#src/transport.ts";
import { until } from "#tests/support/until.ts";
import { FAST, GPU, OWN } from "./addresses.ts";
import { Heard } from "./heard.ts";
import type { Scenario } from "./scenario.ts";

const HOUR_MS = 3_600_000;
const LIST = '{"command":"list_models"}';

/** Sweeps round after round to the end. @returns the number of each kind that was removed */
export async function sweepThrough(transport: Transport, scope: SweepScope): Promise<Partial<Removed>> {
  const sums: Record<string, number> = {};
  for (let rounds = 0; rounds < 10_000; rounds++) {
    const { removed, more } = await transport.sweep(scope);
    for (const [what, count] of Object.entries(removed)) if (count > 0) sums[what] = (sums[what] ?? 0) + count;
    if (!more) return sums;
  }
  throw new Error("The sweep comes to no end");
}

function command(ttl_ms: number): string {
  return JSON.stringify({ version: 2, command: "ping", ttl_ms });
}

async function delivered(transport: Transport, id: string, text: string): Promise<Delivery> {
  await transport.send("shared", id, text, FAST);
  const heard = await Heard.at(transport, "shared");
  await until(() => heard.ids.includes(id));
  await heard.close();
  const found = heard.deliveries.find((delivery) => delivery.id === id);
  if (found === undefined) throw new Error(`${id} was not delivered`);
  return found;
}

export const SWEEP_SCENARIOS: readonly Scenario[] = [
  {
    name: "sweep() removes responses an hour old, and no younger ones",
    needs: ["shared inbox", "aging"],
    run: async ({ store, connected }) => {
      const [agent, sender] = [await connected(), await connected()];
      await sender.openReplies(
        OWN,
        () => true,
        () => true,
      );
      for (const at of [OWN, "shared"] as const) await agent.respond(at, "old-1", "{}", FAST);
      await store.age(HOUR_MS / 2);
      for (const at of [OWN, "shared"] as const) await agent.respond(at, "young-1", "{}", FAST);
      expect(await sweepThrough(agent, "everything")).toEqual({});
      await store.age(HOUR_MS / 2);
      expect(await sweepThrough(agent, "everything")).toEqual({ responses: 2 });
      for (const at of [OWN, "shared"] as const) {
        // An SMB client may show a removed file for a moment.
        await until(async () => (await agent.respondedAtMs(at, "old-1")) === null);
        expect(await agent.respondedAtMs(at, "young-1")).not.toBeNull();
      }
    },
  },
  {
    name: "sweep() removes a command from an agent's inbox an hour after its TTL, or a day without one",
    needs: ["aging"],
    run: async ({ store, connected }) => {
      const agent = await connected();
      await agent.openInbox(GPU);
      await agent.send(GPU, "short-1", command(60_000), FAST);
      await agent.send(GPU, "long-1", command(2 * HOUR_MS), FAST);
      await agent.send(GPU, "none-1", "[]", FAST);
      await agent.send(GPU, "endless-1", command(1e12), FAST);
      await store.age(HOUR_MS + 30_000);
      expect(await sweepThrough(agent, "everything")).toEqual({});
      await store.age(60_000);
      expect(await sweepThrough(agent, "everything")).toEqual({ commands: 1 });
      expect(await agent.withdraw(GPU, "short-1")).toBe(false);
      await store.age(2 * HOUR_MS);
      expect(await sweepThrough(agent, "everything")).toEqual({ commands: 1 });
      await store.age(22 * HOUR_MS);
      expect(await sweepThrough(agent, "everything")).toEqual({ commands: 2 });
    },
  },
  {
    name: "sweep() removes lists and invalid commands from the shared inbox when an hour old; pulls and deletes stay",
    needs: ["shared inbox", "aging"],
    run: async ({ store, connected }) => {
      const agent = await connected();
      await agent.send("shared", "list-1", LIST, FAST);
      await agent.send("shared", "foreign-1", command(1), FAST);
      await agent.send("shared", "odd-1", '{"command":"reboot"}', FAST);
      await agent.send("shared", "pull-1", '{"command":"pull_model"}', FAST);
      await agent.send("shared", "delete-1", '{"command":"delete_model","version":null}', FAST);
      await store.age(HOUR_MS - 30_000);
      expect(await sweepThrough(agent, "everything")).toEqual({});
      await store.age(60_000);
      expect(await sweepThrough(agent, "everything")).toEqual({ commands: 3 });
      await store.age(1000 * HOUR_MS);
      expect(await sweepThrough(agent, "everything")).toEqual({});
      expect(await agent.withdraw("shared", "pull-1")).toBe(true);
      expect(await agent.withdraw("shared", "delete-1")).toBe(true);
    },
  },
  {
    name: "sweep() keeps an old file that was written again under its name",
    needs: ["shared inbox", "aging"],
    run: async ({ store, connected }) => {
      const agent = await connected();
      await agent.send("shared", "list-1", LIST, FAST);
      await agent.respond("shared", "list-1", "{}", FAST);
      await store.age(2 * HOUR_MS);
      await agent.send("shared", "list-1", LIST, FAST);
      await agent.respond("shared", "list-1", "{}", FAST);
      expect(await sweepThrough(agent, "everything")).toEqual({});
      expect(await agent.withdraw("shared", "list-1")).toBe(true);
    },
  },
  {
    name: "sweep() removes a claim two days old whose command is gone, and keeps it before",
    needs: ["shared inbox", "aging"],
    run: async ({ store, connected }) => {
      const agent = await connected();
      const [kept, gone] = [await delivered(agent, "pull-1", "{}"), await delivered(agent, "pull-2", "{}")];
      const claim = async (of: Delivery, instance: string): Promise<boolean> =>
        await agent.claim(of, { agent: "gpu-1", instance });
      expect([await claim(kept, "i"), await claim(gone, "i")]).toEqual([true, true]);
      await agent.withdraw("shared", "pull-2");
      await store.age(47 * HOUR_MS);
      await agent.send("shared", "pull-1", '{"command":"pull_model"}', FAST);
      expect(await sweepThrough(agent, "everything")).toEqual({});
      expect([await claim(kept, "j"), await claim(gone, "j")]).toEqual([false, false]);
      await store.age(HOUR_MS);
      expect(await sweepThrough(agent, "everything")).toEqual({ claims: 1 });
      expect([await claim(kept, "j"), await claim(gone, "j")]).toEqual([false, true]);
    },
  },
  {
    name: "sweep() removes an address for replies whose owner gave no sign of life for a day, with its contents",
    needs: ["aging"],
    run: async ({ store, connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      const open = async (replyTo: string): Promise<unknown> =>
        await sender.openReplies(
          { replyTo },
          () => true,
          () => true,
        );
      await open("ctl-old");
      await agent.respond({ replyTo: "ctl-old" }, "ping-1", "{}", FAST);
      await store.age(2 * HOUR_MS);
      await open("ctl-new");
      await store.age(22 * HOUR_MS - 60_000);
      expect(await sweepThrough(agent, "everything")).toEqual({ responses: 1 });
      expect(await agent.respond({ replyTo: "ctl-old" }, "ping-2", "{}", FAST)).toBe(true);
      await agent.releaseReply({ replyTo: "ctl-old" }, "ping-2");
      await store.age(120_000);
      expect(await sweepThrough(agent, "everything")).toEqual({ addresses: 1 });
      expect(await agent.respond({ replyTo: "ctl-new" }, "ping-3", "{}", FAST)).toBe(true);
    },
  },
  {
    name: "sweep() keeps to an agent's own inbox when that is its scope, and never removes a state document",
    needs: ["shared inbox", "aging"],
    run: async ({ store, connected }) => {
      const agent = await connected();
      for (const inbox of [GPU, { agent: "gpu-2" }]) {
        await agent.openInbox(inbox);
        await agent.send(inbox, "ping-1", command(1000), FAST);
      }
      await agent.send("shared", "list-1", LIST, FAST);
      await agent.respond("shared", "list-1", "{}", FAST);
      await agent.publishState("gpu-2", "{}");
      await store.age(1000 * HOUR_MS);
      expect(await sweepThrough(agent, { agent: "gpu-1" })).toEqual({ commands: 1 });
      expect(await sweepThrough(agent, { agent: "gpu-1" })).toEqual({});
      expect(await sweepThrough(agent, "everything")).toEqual({ commands: 2, responses: 1 });
      expect(await agent.readState("gpu-2")).toMatchObject({ content: { text: "{}" } });
    },
  },
  {
    name: "sweep() removes each file once when several sweep at once, and ends",
    needs: ["shared inbox", "aging"],
    run: async ({ store, connected }) => {
      const agents = [await connected(), await connected()];
      const [agent] = agents;
      for (let sent = 0; sent < 300; sent++) await agent?.send("shared", `list-${sent}`, LIST, FAST);
      await store.age(HOUR_MS);
      const swept = await Promise.all(agents.map(async (each) => await sweepThrough(each, "everything")));
      expect(swept.reduce((sum, { commands = 0 }) => sum + commands, 0)).toBe(300);
      expect(await agent?.withdraw("shared", "list-0")).toBe(false);
    },
  },
];
