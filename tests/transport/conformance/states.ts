// Scenarios: state documents.
import { expect } from "bun:test";
import type { Scenario } from "./scenario.ts";

export const STATE_SCENARIOS: readonly Scenario[] = [
  {
    name: "readStates() returns every agent's document in order of names when several publish",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      expect(await reader.readStates()).toEqual([]);
      const beforeMs = agent.now();
      for (const name of ["gpu-2", "gpu", "gpu-10"]) await agent.publishState(name, JSON.stringify({ name }));
      const records = await reader.readStates();
      expect(records.map((record) => record.agent)).toEqual(["gpu", "gpu-10", "gpu-2"]);
      expect(records.map(({ content }) => content)).toEqual([
        { text: '{"name":"gpu"}' },
        { text: '{"name":"gpu-10"}' },
        { text: '{"name":"gpu-2"}' },
      ]);
      for (const record of records) expect(record.publishedAtMs).toBeWithin(beforeMs - 500, reader.now() + 500);
    },
  },
  {
    name: "openStates() delivers each document once until it is published again, and names every agent that has one",
    run: async ({ connected, store }) => {
      const [agent, reader] = [await connected(), await connected()];
      for (const name of ["gpu-1", "gpu-2"]) await agent.publishState(name, `{"name":"${name}"}`);
      const states = reader.openStates();
      const read = async () => {
        const texts: string[] = [];
        const present = await states.read(({ content }) => texts.push("text" in content ? content.text : ""));
        return { texts: texts.toSorted(), present: [...present].toSorted() };
      };
      const both = ["gpu-1", "gpu-2"];
      expect(await read()).toEqual({ texts: ['{"name":"gpu-1"}', '{"name":"gpu-2"}'], present: both });
      expect(await read()).toEqual({ texts: [], present: both });
      await agent.publishState("gpu-2", '{"name":"other"}');
      expect(await read()).toEqual({ texts: ['{"name":"other"}'], present: both });
      await store.removeState("gpu-1");
      expect(await read()).toEqual({ texts: [], present: ["gpu-2"] });
      // A reader of its own begins from the start.
      const present = await reader
        .openStates()
        .read(({ content }) => expect(content).toEqual({ text: '{"name":"other"}' }));
      expect(present).toEqual(new Set(["gpu-2"]));
    },
  },
  {
    name: "readState() returns one agent's document, null when it has not published one",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      await agent.publishState("gpu-1", '{"n":1}');
      expect(await reader.readState("gpu-1")).toMatchObject({ agent: "gpu-1", content: { text: '{"n":1}' } });
      expect(await reader.readState("gpu-2")).toBeNull();
    },
  },
  {
    name: "publishState() shows readers the old document or the new one when it replaces",
    run: async ({ connected }) => {
      const [agent, reader] = [await connected(), await connected()];
      const document = (n: number): string => JSON.stringify({ n, filling: "x".repeat(50_000) });
      await agent.publishState("gpu-1", document(0));
      const publishing = (async () => {
        for (let n = 1; n <= 40; n++) await agent.publishState("gpu-1", document(n));
      })();
      let last = 0;
      for (let reads = 0; reads < 40; reads++) {
        const [record] = await reader.readStates();
        if (record === undefined || !("text" in record.content)) throw new Error("the document was not there");
        const { n }: { n: number } = JSON.parse(record.content.text);
        expect(n).toBeGreaterThanOrEqual(last);
        last = n;
      }
      await publishing;
      expect((await reader.readState("gpu-1"))?.content).toEqual({ text: document(40) });
    },
  },
];
