// Scenarios: following the state documents of all agents.
import { expect } from "bun:test";
import { until } from "#tests/support/until.ts";
import { HeardStates } from "./heard.ts";
import type { Scenario } from "./scenario.ts";

const MANY = 300;

export const WATCH_STATES_SCENARIOS: readonly Scenario[] = [
  {
    name: "watchStates() delivers the documents that are there, and then reports that these are all",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      const beforeMs = agent.now();
      for (const name of ["gpu-1", "gpu-2", "gpu"]) await agent.publishState(name, JSON.stringify({ name }));
      const startedMs = performance.now();
      const heard = await HeardStates.at(reader);
      await until(() => heard.syncedAtMs.length > 0);
      expect(heard.calls.slice(0, 4).toSorted()).toEqual(["changed gpu", "changed gpu-1", "changed gpu-2", "synced"]);
      expect(heard.calls[3]).toBe("synced");
      expect(heard.syncedAtMs[0]).toBeWithin(startedMs - 1, performance.now() + 1);
      expect(heard.present.get("gpu-2")).toMatchObject({ agent: "gpu-2", content: { text: '{"name":"gpu-2"}' } });
      expect(heard.present.get("gpu-2")?.publishedAtMs).toBeWithin(beforeMs - 500, reader.now() + 500);
    },
  },
  {
    name: "watchStates() delivers a new document and each change, and never an old one after a new one",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      const heard = await HeardStates.at(reader);
      const seen: number[] = [];
      for (let n = 1; n <= 30; n++) {
        await agent.publishState("gpu-1", JSON.stringify({ n }));
        const text = heard.contentOf("gpu-1");
        if (text !== undefined) seen.push(Number(JSON.parse(text).n));
        await Bun.sleep(5);
      }
      await until(() => heard.contentOf("gpu-1") === '{"n":30}');
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    },
  },
  {
    name: "watchStates() shows a change at the latest with the next but one synced, and calls synced again and again",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      const heard = await HeardStates.at(reader);
      await until(() => heard.syncedAtMs.length > 0);
      await agent.publishState("gpu-1", '{"n":1}');
      await heard.afterLooks(2);
      expect(heard.contentOf("gpu-1")).toBe('{"n":1}');
      expect(heard.syncedAtMs).toEqual(heard.syncedAtMs.toSorted((a, b) => a - b));
    },
  },
  {
    name: "watchStates() delivers nothing when nothing is published",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      await agent.publishState("gpu-1", '{"n":1}');
      const heard = await HeardStates.at(reader);
      await until(() => heard.syncedAtMs.length > 0);
      await heard.afterLooks(2);
      expect(new Set(heard.calls)).toEqual(new Set(["changed gpu-1", "synced"]));
      expect(heard.calls.filter((call) => call === "changed gpu-1").length).toBe(1);
    },
  },
  {
    name: "watchStates() reports a removed document, once, and delivers it when it is there again",
    run: async ({ store, connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      for (const name of ["gpu-1", "gpu-2"]) await agent.publishState(name, '{"n":1}');
      const heard = await HeardStates.at(reader);
      await until(() => heard.present.size === 2);
      await store.removeState("gpu-1");
      await until(() => heard.present.size === 1);
      await heard.afterLooks(2);
      expect(heard.calls.filter((call) => call.startsWith("removed"))).toEqual(["removed gpu-1"]);
      await agent.publishState("gpu-1", '{"n":2}');
      await until(() => heard.contentOf("gpu-1") === '{"n":2}');
    },
  },
  {
    name: "watchStates() delivers a half-written document of a legacy service again when it is whole",
    run: async ({ store, connected }) => {
      const heard = await HeardStates.at(await connected());
      await until(() => heard.syncedAtMs.length > 0);
      const text = '{"timestamp": "2026-11-28T12:00:00",  "status": "running"}';
      await store.writeState("gpu", text.slice(0, text.length / 2));
      await until(() => heard.contentOf("gpu") === text.slice(0, text.length / 2));
      await store.writeState("gpu", text);
      await until(() => heard.contentOf("gpu") === text);
    },
  },
  {
    name: "watchStates() delivers each of many documents",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      const names = Array.from({ length: MANY }, (_, index) => `gpu-${index}`);
      for (const name of names) await agent.publishState(name, JSON.stringify({ name }));
      const heard = await HeardStates.at(reader);
      await until(() => heard.syncedAtMs.length > 0);
      expect([...heard.present.keys()].toSorted()).toEqual(names.toSorted());
      for (const name of names) await agent.publishState(name, JSON.stringify({ name, again: true }));
      await until(() => names.every((name) => heard.contentOf(name)?.includes("again") === true));
    },
  },
  {
    name: "renewState() shows watchers that the agent is there, by its document or by a heartbeat",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      await agent.publishState("gpu-1", '{"n":1}');
      const heard = await HeardStates.at(reader);
      await until(() => heard.syncedAtMs.length > 0);
      await agent.renewState("gpu-1", 2, '{"n":2}');
      await until(() => heard.contentOf("gpu-1") === '{"n":2}' || heard.calls.includes("alive gpu-1 2"));
      // A transport has heartbeats or shows the new document: not both.
      expect(heard.contentOf("gpu-1") === '{"n":2}' && heard.calls.includes("alive gpu-1 2")).toBe(false);
    },
  },
  {
    name: "watchStates() delivers nothing after it was closed",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      const [closed, open] = [await HeardStates.at(reader), await HeardStates.at(reader)];
      await until(() => closed.syncedAtMs.length > 0);
      await closed.close();
      await closed.close();
      const before = closed.calls.length;
      await agent.publishState("gpu-1", "{}");
      await until(() => open.present.size === 1);
      expect(closed.calls.length).toBe(before);
    },
  },
  {
    name: "watchStates() reports one interruption and one restoration, forgets nothing, and continues by itself",
    run: async ({ store, connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      for (const name of ["gpu-1", "gpu-2"]) await agent.publishState(name, '{"n":1}');
      const heard = await HeardStates.at(reader);
      await until(() => heard.syncedAtMs.length > 0);
      await store.interrupt();
      await until(() => heard.calls.includes("interrupted"));
      await store.restore();
      await until(() => heard.calls.includes("restored"));
      await agent.publishState("gpu-2", '{"n":2}');
      await until(() => heard.contentOf("gpu-2") === '{"n":2}');
      const after = heard.calls.slice(heard.calls.indexOf("interrupted"));
      expect(after.filter((call) => /interrupted|restored|removed/.test(call))).toEqual(["interrupted", "restored"]);
      expect(after[after.indexOf("restored") - 1]).toBe("synced");
    },
  },
];
