// How the benchmarks compare two sides: pairs, percentiles, and which ratio is good enough.
import { describe, expect, test } from "bun:test";
import { comparePairs, type Probe, takePairs } from "../../scripts/bench/fleet/comparison.ts";
import { type Measure, resultOf } from "../../scripts/bench/report.ts";

/** Two probes that note their turns in one list. */
function probes(subjectMs: (turn: number) => number | undefined) {
  const turns: string[] = [];
  let asked = 0;
  const floor: Probe = async () => {
    turns.push("floor");
    return await Promise.resolve(1);
  };
  const subject: Probe = async () => {
    turns.push("subject");
    return await Promise.resolve(subjectMs(asked++));
  };
  return { turns, floor, subject };
}

describe("takePairs()", () => {
  test("takes one sample of each side in turn, and lets each begin every second pair", async () => {
    const { turns, floor, subject } = probes(() => 2);
    const pairs = await takePairs(floor, subject, { pairs: 3, budgetMs: 10_000 });
    expect(turns).toEqual(["floor", "subject", "subject", "floor", "floor", "subject"]);
    expect(pairs).toEqual(Array.from({ length: 3 }, () => ({ floor: 1, subject: 2 })));
  });

  test("leaves out a pair that does not count", async () => {
    const { floor, subject } = probes((turn) => (turn % 3 === 1 ? undefined : turn));
    const pairs = await takePairs(floor, subject, { pairs: 4, budgetMs: 10_000 });
    expect(pairs.map((pair) => pair.subject)).toEqual([0, 2, 3, 5]);
  });

  test("gives up when no pair ever counts", async () => {
    const { floor, subject } = probes(() => undefined);
    expect(await takePairs(floor, subject, { pairs: 100, budgetMs: 10_000 })).toEqual([]);
  });

  test("takes only a few pairs when its time is over", async () => {
    const { floor, subject } = probes(() => 2);
    expect(await takePairs(floor, subject, { pairs: 100, budgetMs: -1 })).toHaveLength(5);
  });
});

describe("comparePairs()", () => {
  const pairs = Array.from({ length: 200 }, (_, index) => ({ floor: index + 1, subject: 2 * (index + 1) }));

  test("compares the percentiles of both sides", () => {
    expect(comparePairs(pairs, 0.5)).toEqual({ unit: "ms", value: 202, floor: 101, ratio: 2 });
    expect(comparePairs(pairs, 0.99)).toEqual({ unit: "ms", value: 398, floor: 199, ratio: 2 });
  });

  test("returns NaN for no pairs, which fails every target", () => {
    const compared = comparePairs([], 0.5);
    expect(compared.ratio).toBeNaN();
    expect(resultOf({ name: "", ...compared, target: { of: "ratio", most: 3, orMoreBy: 3 } })).toBe("FAIL");
  });
});

describe("resultOf()", () => {
  const measure = (value: number): Measure => ({
    name: "",
    unit: "ms",
    value,
    floor: 0.5,
    ratio: value / 0.5,
    target: { of: "ratio", most: 3, orMoreBy: 3 },
  });

  test("a time is good when its ratio or its difference to the floor is", () => {
    expect([1.5, 3.5, 3.6].map((value) => resultOf(measure(value)))).toEqual(["ok", "ok", "FAIL"]);
  });
});
