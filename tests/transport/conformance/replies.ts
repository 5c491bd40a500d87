// Scenarios: responses on their way back.
import { expect } from "bun:test";
import { until } from "#tests/support/until.ts";
import { FAST, OWN } from "./addresses.ts";
import { HeardReplies } from "./heard.ts";
import type { Scenario } from "./scenario.ts";

/** Of the last reply. */
function textOf({ replies }: HeardReplies): string | undefined {
  const content = replies.at(-1)?.content;
  return content !== undefined && "text" in content ? content.text : undefined;
}

export const REPLY_SCENARIOS: readonly Scenario[] = [
  {
    name: "respond() delivers a response to its address, once, when the address is in use",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      const heard = await HeardReplies.at(sender, OWN);
      const text = JSON.stringify({ success: true, models: ["ü".repeat(100_000)] });
      expect(await agent.respond(OWN, "ping-1", text, { durable: true })).toBe(true);
      await until(() => heard.replies.length === 1);
      expect(heard.replies).toEqual([{ id: "ping-1", content: { text } }]);
      expect(await agent.respond(OWN, "ping-2", "{}", FAST)).toBe(true);
      await until(() => heard.replies.length === 2);
      expect(heard.ids).toEqual(["ping-1", "ping-2"]);
    },
  },
  {
    name: "respond() returns false and publishes nothing when the address is not or no longer in use",
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      expect(await agent.respond(OWN, "ping-1", "{}", FAST)).toBe(false);
      expect(await agent.respondedAtMs(OWN, "ping-1")).toBeNull();
      const heard = await HeardReplies.at(sender, OWN);
      await agent.respond(OWN, "ping-2", "{}", FAST);
      await heard.close();
      await heard.close();
      expect(await agent.respond(OWN, "ping-3", "{}", FAST)).toBe(false);
      const again = await HeardReplies.at(sender, OWN);
      await agent.respond(OWN, "ping-4", "{}", FAST);
      await until(() => again.replies.length > 0);
      expect(again.ids).toEqual(["ping-4"]);
    },
  },
  {
    name: "respond() keeps addresses apart when several senders wait",
    run: async ({ connected }) => {
      const [one, two, agent] = [await connected(), await connected(), await connected()];
      const [first, second] = [await HeardReplies.at(one, OWN), await HeardReplies.at(two, { replyTo: "ctl-2" })];
      await agent.respond({ replyTo: "ctl-2" }, "ping-2", "{}", FAST);
      await agent.respond(OWN, "ping-1", "{}", FAST);
      await until(() => first.replies.length === 1 && second.replies.length === 1);
      expect([first.ids, second.ids]).toEqual([["ping-1"], ["ping-2"]]);
    },
  },
  {
    name: "respond() replaces a response of the same id",
    needs: ["shared inbox"],
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      expect(await agent.respond("shared", "list-1", '{"n":1}', FAST)).toBe(true);
      expect(await agent.respond("shared", "list-1", '{"n":2}', FAST)).toBe(true);
      const heard = await HeardReplies.at(sender, "shared");
      await until(() => heard.replies.length > 0);
      expect(heard.replies).toEqual([{ id: "list-1", content: { text: '{"n":2}' } }]);
    },
  },
  {
    name: "openReplies() delivers a reply again when it has other bytes, and one that was not accepted stays until then",
    run: async ({ connected, inbox, addresses }) => {
      const [sender, agent, other] = [await connected(), await connected(), await connected()];
      for (const address of addresses) {
        await sender.send(inbox, "ping-1", "{}", FAST);
        const heard = await HeardReplies.at(
          sender,
          address,
          () => true,
          ({ content }) => "text" in content && content.text === '{"from":"gpu-1"}',
        );
        for (const text of ['{"from":"other"}', '{"from":"another"}']) {
          await other.respond(address, "ping-1", text, FAST);
          await until(() => textOf(heard) === text);
          expect(await agent.respondedAtMs(address, "ping-1")).not.toBeNull();
        }
        await agent.respond(address, "ping-1", '{"from":"gpu-1"}', FAST);
        await until(() => textOf(heard) === '{"from":"gpu-1"}');
        expect(heard.ids).toEqual(["ping-1", "ping-1", "ping-1"]);
        await heard.close();
      }
    },
  },
  {
    name: "openReplies() delivers only wanted replies at the shared address",
    needs: ["shared inbox"],
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      const heard = await HeardReplies.at(sender, "shared", (id) => id.startsWith("mine"));
      for (const id of ["theirs-1", "mine-1", "theirs-2", "mine-2"]) await agent.respond("shared", id, "{}", FAST);
      await until(() => heard.replies.length === 2);
      expect(heard.ids.toSorted()).toEqual(["mine-1", "mine-2"]);
    },
  },
  {
    name: "openReplies() delivers nothing after it was closed",
    needs: ["shared inbox"],
    run: async ({ connected }) => {
      const [sender, agent] = [await connected(), await connected()];
      const [closed, open] = [await HeardReplies.at(sender, "shared"), await HeardReplies.at(sender, "shared")];
      await closed.close();
      await agent.respond("shared", "list-1", "{}", FAST);
      await until(() => open.replies.length === 1);
      expect(closed.replies).toEqual([]);
    },
  },
  {
    name: "releaseReply() removes a reply that was read, and may be called again",
    run: async ({ connected, addresses }) => {
      const [sender, agent] = [await connected(), await connected()];
      for (const address of addresses) {
        const heard = await HeardReplies.at(sender, address);
        await agent.respond(address, "ping-1", "{}", FAST);
        await until(() => heard.replies.length === 1);
        await sender.releaseReply(address, "ping-1");
        await sender.releaseReply(address, "ping-1");
        expect(await agent.respondedAtMs(address, "ping-1")).toBeNull();
      }
    },
  },
  {
    name: "respondedAtMs() returns when the response was last published, null without one",
    run: async ({ connected, addresses }) => {
      const [sender, agent] = [await connected(), await connected()];
      for (const address of addresses) {
        await HeardReplies.at(sender, address);
        expect(await agent.respondedAtMs(address, "list-1")).toBeNull();
        const beforeMs = agent.now();
        await agent.respond(address, "list-1", "{}", FAST);
        const atMs = (await agent.respondedAtMs(address, "list-1")) ?? 0;
        expect(atMs).toBeWithin(beforeMs - 500, agent.now() + 500);
        await until(() => agent.now() > atMs + 20);
        await agent.respond(address, "list-1", "{}", FAST);
        expect((await agent.respondedAtMs(address, "list-1")) ?? 0).toBeGreaterThan(atMs);
      }
    },
  },
];
