// Scenarios: commands on their way from the sender to the agent.
import { expect } from "bun:test";
import { until } from "#tests/support/until.ts";
import { FAST, GPU } from "./addresses.ts";
import { expectCode, Heard } from "./heard.ts";
import type { Scenario } from "./scenario.ts";

export const COMMAND_SCENARIOS: readonly Scenario[] = [
  {
    name: "send() publishes a complete command, with its inbox, id, key, text and time, when an agent receives",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      const heard = await Heard.at(agent, GPU);
      const text = JSON.stringify({ command: "ping", note: "ü".repeat(30_000) });
      const beforeMs = sender.now();
      await sender.send(GPU, "ping-1", text, { durable: true });
      await until(() => heard.deliveries.length === 1);
      const [delivery] = heard.deliveries;
      expect(delivery).toMatchObject({ inbox: GPU, id: "ping-1", content: { text } });
      expect(delivery?.key).toMatch(/^ping-1~[0-9a-f]{16}$/);
      expect(delivery?.sentAtMs).toBeWithin(beforeMs - 500, agent.now() + 500);
    },
  },
  {
    name: "send() keeps a command until it is removed when no agent runs",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      await agent.close();
      await sender.send(GPU, "ping-1", "{}", FAST);
      const first = await Heard.at(await connected(), GPU);
      await until(() => first.ids.length === 1);
      await first.close();
      const second = await Heard.at(await connected(), GPU);
      await until(() => second.ids.length === 1);
      expect(second.deliveries[0]?.key).toBe(first.deliveries[0]?.key ?? "");
    },
  },
  {
    name: "receive() delivers no more than there is room for, counts the others, and delivers those once there is",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      for (const id of ["a", "b", "c"]) await sender.send(GPU, id, "{}", FAST);
      const heard = await Heard.at(agent, GPU, 2);
      await until(() => heard.waiting === 1 && heard.completions.length === 1);
      expect([heard.ids.length, heard.completions]).toEqual([2, [2]]);
      await sender.send(GPU, "d", "{}", FAST);
      await until(() => heard.waiting === 2);
      // One that is withdrawn meanwhile is never delivered.
      await sender.withdraw(GPU, "d");
      await until(() => heard.waiting === 1);
      heard.most = 4;
      await until(() => heard.waiting === 0);
      expect(heard.ids.toSorted()).toEqual(["a", "b", "c"]);
      await sender.send(GPU, "e", "{}", FAST);
      await until(() => heard.ids.length === 4);
      expect(heard.ids[3]).toBe("e");
    },
  },
  {
    name: "receive() delivers what there was no room for before what came later",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      const heard = await Heard.at(agent, GPU, 0);
      await sender.send(GPU, "older", "{}", FAST);
      await until(() => heard.waiting === 1);
      heard.most = 2;
      await sender.send(GPU, "younger", "{}", FAST);
      await until(() => heard.ids.length === 2);
      expect(heard.ids).toEqual(["older", "younger"]);
    },
  },
  {
    name: "commandsIn() returns the wanted commands of an inbox with their times, until they are removed",
    run: async ({ connected, inbox }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      const beforeMs = sender.now();
      for (const id of ["list_models_1", "list_models_2", "pull_model_1"]) await sender.send(inbox, id, "{}", FAST);
      await sender.send(GPU, "list_models_3", "{}", FAST);
      const lists = async () => await agent.commandsIn(inbox, (id) => id.startsWith("list_models"), 10);
      const found = await lists();
      expect(found.map(({ id }) => id).toSorted()).toEqual(["list_models_1", "list_models_2"]);
      for (const { sentAtMs } of found) expect(sentAtMs).toBeWithin(beforeMs - 500, agent.now() + 500);
      expect(await agent.commandsIn(inbox, () => true, 2)).toHaveLength(2);
      await sender.withdraw(inbox, "list_models_1");
      await until(async () => (await lists()).length === 1);
      expect((await agent.commandsIn(GPU, () => true, 10)).map(({ id }) => id)).toEqual(["list_models_3"]);
      await expectCode(
        agent.commandsIn({ agent: "gpu-2" }, () => true, 10),
        "not_found",
      );
    },
  },
  {
    name: "send() throws not_found when the agent was never there",
    run: async ({ connected }) => {
      const sender = await connected();
      await expectCode(sender.send(GPU, "ping-1", "{}", FAST), "not_found");
    },
  },
  {
    name: "send() replaces the command, as another delivery, when an id is sent again",
    run: async ({ connected, inbox }) => {
      const [sender, agent] = [await connected(), await connected()];
      const heard = await Heard.at(agent, inbox);
      await sender.send(inbox, "test_command", '{"n":1}', FAST);
      await until(() => heard.ids.length === 1);
      await sender.send(inbox, "test_command", '{"n":2}', FAST);
      await until(() => heard.ids.length === 2);
      expect(heard.deliveries.map(({ content }) => content)).toEqual([{ text: '{"n":1}' }, { text: '{"n":2}' }]);
      expect(new Set(heard.deliveries.map(({ key }) => key)).size).toBe(2);
      const late = await Heard.at(agent, inbox);
      await until(() => late.ids.length === 1);
      expect(late.deliveries[0]?.content).toEqual({ text: '{"n":2}' });
    },
  },
  {
    name: "withdraw() removes a command, once, when it is still there",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      await sender.send(GPU, "ping-1", "{}", FAST);
      expect(await sender.withdraw(GPU, "ping-1")).toBe(true);
      expect(await sender.withdraw(GPU, "ping-1")).toBe(false);
      expect(await sender.withdraw({ agent: "never-there" }, "ping-1")).toBe(false);
      await sender.send(GPU, "ping-2", "{}", FAST);
      const heard = await Heard.at(agent, GPU);
      await until(() => heard.ids.length > 0);
      expect(heard.ids).toEqual(["ping-2"]);
    },
  },
  {
    name: "openInbox() keeps the commands when the inbox is made again",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      await sender.send(GPU, "ping-1", "{}", FAST);
      await agent.openInbox(GPU);
      await agent.openInbox("shared");
      const heard = await Heard.at(agent, GPU);
      await until(() => heard.ids.length === 1);
    },
  },
  {
    name: "receive() delivers each of many commands once, present and new ones, when senders send at once",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      const ids = Array.from({ length: 200 }, (_, index) => `ping-${index}`);
      const sending = ids.map(async (id) => await sender.send(GPU, id, "{}", FAST));
      await Promise.all(sending.slice(0, 50));
      const heard = await Heard.at(agent, GPU);
      await Promise.all(sending);
      await until(() => heard.ids.length >= ids.length);
      await sender.send(GPU, "the-last", "{}", FAST);
      await until(() => heard.ids.includes("the-last"));
      expect(heard.ids.toSorted()).toEqual([...ids, "the-last"].toSorted());
    },
  },
  {
    name: "receive() delivers the commands that are there in order of time, and then reports that these are all",
    run: async ({ connected }) => {
      const agent = await connected();
      await agent.openInbox(GPU);
      for (const id of ["c", "a", "b"]) {
        await agent.send(GPU, id, "{}", FAST);
        const sentAtMs = agent.now();
        await until(() => agent.now() > sentAtMs + 20);
      }
      const heard = await Heard.at(agent, GPU);
      await until(() => heard.completions.length > 0);
      expect([heard.ids, heard.completions]).toEqual([["c", "a", "b"], [3]]);
    },
  },
  {
    name: "receive() gives two subscriptions the same keys, and keeps inboxes apart, when several listen",
    run: async ({ connected, inbox }) => {
      const [sender, agent, other] = [await connected(), await connected(), await connected()];
      await agent.openInbox(GPU);
      await other.openInbox({ agent: "gpu-2" });
      const here = await Heard.at(agent, GPU);
      const alsoHere = await Heard.at(other, GPU);
      const elsewhere = await Heard.at(other, { agent: "gpu-2" });
      const another = await Heard.at(other, inbox);
      await sender.send(GPU, "ping-1", "{}", FAST);
      await sender.send({ agent: "gpu-2" }, "ping-2", "{}", FAST);
      await sender.send(inbox, "ping-3", "{}", FAST);
      await until(() => [here, alsoHere, elsewhere, another].every(({ ids }) => ids.length === 1));
      expect([here.ids, elsewhere.ids, another.ids]).toEqual([["ping-1"], ["ping-2"], ["ping-3"]]);
      expect(alsoHere.deliveries).toEqual(here.deliveries);
    },
  },
  {
    name: "receive() delivers nothing after its subscription was closed",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      await agent.openInbox(GPU);
      const [closed, open] = [await Heard.at(agent, GPU), await Heard.at(agent, GPU)];
      await closed.close();
      await closed.close();
      await sender.send(GPU, "ping-1", "{}", FAST);
      await until(() => open.ids.length === 1);
      await sender.send(GPU, "ping-2", "{}", FAST);
      await until(() => open.ids.length === 2);
      expect(closed.ids).toEqual([]);
    },
  },
];
