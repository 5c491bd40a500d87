// Names of many agents in few words.
import { describe, expect, test } from "bun:test";
import { agentsText, rangesText } from "#src/client/output/agent_names.ts";

const numbered = (...numbers: readonly number[]): string[] => numbers.map((number) => `gpu-${number}`);
const FIFTEEN = numbered(...Array.from({ length: 15 }, (_, index) => index + 1));
const without = (...numbers: readonly number[]): string[] =>
  FIFTEEN.filter((name) => !numbered(...numbers).includes(name));

describe("rangesText()", () => {
  test.each([
    [numbered(10, 9, 2, 1), "gpu-[1-2,9-10]"],
    [numbered(7), "gpu-7"],
    [["rack-a", "gpu-1", "rack-b"], "gpu-1, rack-a, rack-b"],
    [["gpu", "gpu1", "gpu2"], "gpu, gpu[1-2]"],
    [["n08", "n09", "n10", "n11"], "n[08-11]"],
    [["n9", "n010"], "n[9,010]"],
    [["a1-1", "a1-2", "a2-1"], "a1-[1-2], a2-1"],
    [[], ""],
  ])("writes %p as %p", (names, text) => {
    expect(rangesText(names)).toBe(text);
  });
});

describe("agentsText()", () => {
  test.each([
    ["names of a small fleet, even when all are meant", numbered(1, 2), numbered(1, 2), 14, "gpu-1, gpu-2"],
    ["all", FIFTEEN, FIFTEEN, 14, "all"],
    ["all but a few", without(3), FIFTEEN, 14, "all but gpu-3"],
    ["a few", numbered(10, 9), FIFTEEN, 14, "gpu-9, gpu-10"],
    ["a run", without(1, 2, 3), FIFTEEN, 14, "gpu-[4-15]"],
    ["ranges where there is room", without(1, 2, 8, 9), FIFTEEN, 20, "gpu-[3-7,10-15]"],
    ["a count where there is no room", numbered(1, 3, 5, 7, 9, 11), FIFTEEN, 14, "6 of 15"],
    ["every name where nothing has to fit", FIFTEEN, FIFTEEN, Number.POSITIVE_INFINITY, FIFTEEN.join(", ")],
  ])("writes %s", (_, names, listed, room, text) => {
    expect(agentsText(names, listed, room)).toBe(text);
  });
});
