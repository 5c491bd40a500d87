// Scenarios: an agent looks at a delivery again, claims it and releases it.
import { expect } from "bun:test";
import type { Delivery, Inbox, Transport } from "#src/transport.ts";
import { until } from "#tests/support/until.ts";
import { FAST } from "./addresses.ts";
import { Heard } from "./heard.ts";
import type { Scenario } from "./scenario.ts";

async function delivered(transport: Transport, inbox: Inbox, id: string, text: string): Promise<Delivery> {
  await transport.send(inbox, id, text, FAST);
  const heard = await Heard.at(transport, inbox);
  const find = (): Delivery | undefined =>
    heard.deliveries.find(({ id: known, content }) => known === id && "text" in content && content.text === text);
  await until(() => find() !== undefined);
  await heard.close();
  const found = find();
  if (found === undefined) throw new Error(`${id} was not delivered`);
  return found;
}

export const CLAIM_SCENARIOS: readonly Scenario[] = [
  {
    name: "isUnchanged() is true until the command is removed or rewritten",
    run: async ({ connected, inbox }) => {
      const [agent, sender] = [await connected(), await connected()];
      const delivery = await delivered(agent, inbox, "pull-1", '{"n":1}');
      expect(await agent.isUnchanged(delivery)).toBe(true);
      expect(await sender.isUnchanged(delivery)).toBe(true);
      await sender.send(inbox, "pull-1", '{"n":2}', FAST);
      expect(await agent.isUnchanged(delivery)).toBe(false);
      const rewritten = await delivered(agent, inbox, "pull-1", '{"n":2}');
      expect(await agent.isUnchanged(rewritten)).toBe(true);
      await sender.withdraw(inbox, "pull-1");
      expect(await agent.isUnchanged(rewritten)).toBe(false);
    },
  },
  {
    name: "claim() has one permanent holder when many ask at once through several handles",
    needs: ["shared inbox"],
    run: async ({ connected, inbox }) => {
      const handles = [await connected(), await connected(), await connected()];
      const [first] = handles;
      if (first === undefined) return;
      const delivery = await delivered(first, inbox, "pull-1", "{}");
      const ask = async (index: number): Promise<boolean> =>
        (await handles[index % handles.length]?.claim(delivery, { agent: "gpu-1", instance: `i-${index}` })) ?? false;
      const asking = Array.from({ length: 12 }, (_, index) => index);
      const won = await Promise.all(asking.map(ask));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await Promise.all(asking.map(ask))).toEqual(won);
      await first.release(delivery);
      expect(await Promise.all(asking.map(ask))).toEqual(won);
    },
  },
  {
    name: "claim() is another right when the same id is written again",
    needs: ["shared inbox"],
    run: async ({ connected, inbox }) => {
      const agent = await connected();
      const [one, two] = [
        await delivered(agent, inbox, "pull-1", '{"n":1}'),
        await delivered(agent, inbox, "pull-1", '{"n":2}'),
      ];
      expect(await agent.claim(one, { agent: "gpu-1", instance: "a" })).toBe(true);
      expect(await agent.claim(two, { agent: "gpu-2", instance: "b" })).toBe(true);
      expect(await agent.claim(two, { agent: "gpu-3", instance: "b" })).toBe(true);
      expect(await agent.claim(one, { agent: "gpu-2", instance: "b" })).toBe(false);
    },
  },
  {
    name: "claimedBy() finds a holder's claimed and unchanged commands in order after a crash",
    needs: ["shared inbox"],
    run: async ({ connected, inbox }) => {
      const [agent, other] = [await connected(), await connected()];
      const [mine, others] = [
        { agent: "gpu-1", instance: "a" },
        { agent: "gpu-2", instance: "b" },
      ];
      expect(await agent.claimedBy(mine)).toEqual([]);
      const second = await delivered(agent, inbox, "pull-2", '{"n":2}');
      await until(() => agent.now() > second.sentAtMs + 20);
      const first = await delivered(agent, inbox, "pull-1", '{"n":1}');
      const rewritten = await delivered(agent, inbox, "pull-3", '{"n":3}');
      const released = await delivered(agent, inbox, "pull-4", '{"n":4}');
      const foreign = await delivered(agent, inbox, "pull-5", '{"n":5}');
      await delivered(agent, inbox, "pull-6", '{"n":6}');
      for (const delivery of [first, second, rewritten, released]) expect(await agent.claim(delivery, mine)).toBe(true);
      expect(await other.claim(foreign, others)).toBe(true);
      await agent.send(inbox, "pull-3", '{"n":33}', FAST);
      await agent.release(released);
      expect(await other.claimedBy(mine)).toEqual([second, first]);
      expect(await agent.claimedBy(others)).toEqual([foreign]);
      expect(await agent.claimedBy({ agent: "gpu-3", instance: "a" })).toEqual([second, first]);
    },
  },
  {
    name: "release() removes an unchanged command, once, and may be called again",
    run: async ({ connected, inbox }) => {
      const [agent, sender] = [await connected(), await connected()];
      const delivery = await delivered(agent, inbox, "pull-1", "{}");
      expect([await agent.release(delivery), await agent.release(delivery)]).toEqual([true, false]);
      expect(await sender.withdraw(inbox, "pull-1")).toBe(false);
    },
  },
  {
    name: "release() keeps the command when it is no longer these bytes",
    run: async ({ connected, inbox }) => {
      const [agent, sender] = [await connected(), await connected()];
      const delivery = await delivered(agent, inbox, "pull-1", '{"n":1}');
      await sender.send(inbox, "pull-1", '{"n":2}', FAST);
      expect(await agent.release(delivery)).toBe(false);
      expect(await sender.withdraw(inbox, "pull-1")).toBe(true);
    },
  },
];
