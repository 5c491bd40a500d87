// Names of many agents in few words.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { rangesText } from "#src/base/order.ts";
import { agentFlag, agentsText, parseAgents } from "#src/client/output/agent_names.ts";
import { MOST_NAMED, namedIn } from "#src/program/desired/named_boxes.ts";
import { failure } from "#tests/support/failure.ts";

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

describe("namedIn()", () => {
  test.each([
    ["gpu-1", ["gpu-1"]],
    ["gpu-1, rack-a,", ["gpu-1", "rack-a"]],
    ["gpu-[1-3,7],rack-[8-10]b", ["gpu-1", "gpu-2", "gpu-3", "gpu-7", "rack-8b", "rack-9b", "rack-10b"]],
    ["gpu-*,n[1-2]-?", ["gpu-*", "n1-?", "n2-?"]],
  ])("reads %p", (text, names) => {
    expect(namedIn(text)).toEqual(names);
  });

  test.each(["Gpu-1", "gpu_*", "gpu-[1-3", "gpu-1]", "gpu-[]", "gpu-[3-1]", "gpu-[a-c]", "gpu-[1-2][3-4]", "x[1-2]-"])(
    "refuses %p",
    (text) => {
      expect(namedIn(text)).toBeUndefined();
    },
  );

  test("refuses more names than a command line may have, before it makes them", () => {
    expect(namedIn(`gpu-[1-${MOST_NAMED}]`)).toHaveLength(MOST_NAMED);
    for (const text of [`gpu-[0-${MOST_NAMED}]`, `gpu-[1-${MOST_NAMED}],gpu-0`, "gpu-[1-999999999999999]"])
      expect(namedIn(text)).toBeUndefined();
  });

  test("reads every list of names that rangesText() writes", () => {
    const part = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,3}[a-z0-9])?$/);
    const numbers = fc.nat(20).map((number) => String(number).padStart(number % 3, "0"));
    const name = fc.oneof(
      part,
      numbers,
      fc.tuple(part, numbers).map(([stem, number]) => `${stem}-${number}`),
    );
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 30 }), (names) => {
        expect(namedIn(rangesText(names))?.toSorted()).toEqual(names.toSorted());
      }),
    );
  });
});

test.each([
  [["gpu-2", "gpu-1", "gpu-2"], " --agent gpu-2,gpu-1"],
  [FIFTEEN, " --agent 'gpu-[1-15]'"],
  [[...without(3), "rack-a"], " --agent 'gpu-[1-2,4-15],rack-a'"],
])("agentFlag() of %p is %p, which namedIn() reads", (names, text) => {
  expect(agentFlag(names)).toBe(text);
  expect(namedIn(text.replace(/^ --agent /, "").replaceAll("'", ""))?.toSorted()).toEqual(
    [...new Set(names)].toSorted(),
  );
});

test.each([
  ["gpu-[5-3]", 'The range 5-3 in "gpu-[5-3]" counts backwards', "Write 3-5"],
  ["gpu-1,rack-[1-2, 10-9]", 'The range 10-9 in "gpu-1,rack-[1-2, 10-9]" counts backwards', "Write 9-10"],
  ["gpu-[a-c]", '"gpu-[a-c]" names no agents', expect.stringContaining("gpu-[1-3,7]")],
])("parseAgents() refuses %p with the reason", async (text, message, hint) => {
  const refused = failure(Promise.try(() => parseAgents(text, undefined)));
  expect(await refused).toMatchObject({ code: "invalid", message, hint });
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
