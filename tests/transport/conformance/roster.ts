// Scenarios: the roster.
import { expect } from "bun:test";
import { LIMITS } from "#src/protocol.ts";
import type { Scenario } from "./scenario.ts";
import { sweepThrough } from "./sweeps.ts";

export const ROSTER_SCENARIOS: readonly Scenario[] = [
  {
    name: "readRoster() returns the roster as it was last published, null before",
    run: async ({ connected }) => {
      const [operator, reader] = [await connected(), await connected()];
      expect(await reader.readRoster()).toBeNull();
      await operator.publishRoster('{"serial":1}');
      expect(await reader.readRoster()).toEqual({ text: '{"serial":1}' });
      expect(await reader.readRoster()).toEqual({ text: '{"serial":1}' });
      await operator.publishRoster('{"serial":2}');
      expect(await reader.readRoster()).toEqual({ text: '{"serial":2}' });
    },
  },
  {
    name: "readRoster() refuses a roster that is too large, and reads the next one",
    run: async ({ connected }) => {
      const [operator, reader] = [await connected(), await connected()];
      await operator.publishRoster("x".repeat(LIMITS.rosterBytes + 1));
      expect(await reader.readRoster()).toEqual({ refused: `is larger than ${LIMITS.rosterBytes} bytes` });
      const largest = "x".repeat(LIMITS.rosterBytes);
      await operator.publishRoster(largest);
      expect(await reader.readRoster()).toEqual({ text: largest });
    },
  },
  {
    name: "publishRoster() shows readers the old roster or the new one when it replaces",
    run: async ({ connected }) => {
      const [operator, reader] = [await connected(), await connected()];
      const roster = (n: number): string => JSON.stringify({ n, filling: "x".repeat(200_000) });
      await operator.publishRoster(roster(0));
      const publishing = (async () => {
        for (let n = 1; n <= 20; n++) await operator.publishRoster(roster(n));
      })();
      let last = 0;
      for (let reads = 0; reads < 40; reads++) {
        const content = await reader.readRoster();
        if (content === null || !("text" in content)) throw new Error("the roster was not there");
        const { n }: { n: number } = JSON.parse(content.text);
        expect(n).toBeGreaterThanOrEqual(last);
        last = n;
      }
      await publishing;
      expect(await reader.readRoster()).toEqual({ text: roster(20) });
    },
  },
  {
    name: "the roster is no state and no command, and sweep() leaves it",
    needs: ["aging"],
    run: async ({ store, connected }) => {
      const operator = await connected();
      await operator.publishRoster("{}");
      await store.age(1000 * 3_600_000);
      expect(await sweepThrough(operator, "everything")).toEqual({});
      expect(await operator.readStates()).toEqual([]);
      expect(await operator.openStates().read(() => undefined)).toEqual(new Set());
      expect(await operator.readRoster()).toEqual({ text: "{}" });
    },
  },
];
