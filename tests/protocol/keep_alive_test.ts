// How long a model stays loaded: every form that Ollama takes, and its bounds.
import { describe, expect, test } from "bun:test";
import { asCourierError } from "#src/base/errors.ts";
import { endsLoad } from "#src/protocol/keep_alive.ts";
import { keepAliveSeconds } from "#src/protocol.ts";

function refusalOf(value: unknown): readonly [code: string, text: string] {
  try {
    return ["", String(keepAliveSeconds(value))];
  } catch (error) {
    const { code, message, hint } = asCourierError(error);
    return [code, `${message}. ${hint}`];
  }
}

describe("keepAliveSeconds()", () => {
  test.each<[unknown, number]>([
    [300, 300],
    [1.5, 1.5],
    ["300", 300],
    ["10m", 600],
    ["1h30m", 5400],
    ["1.5h", 5400],
    ["2m.5s", 120.5],
    ["+10s", 10],
    ["250ms", 0.25],
    ["3000\u00b5s", 0.003],
    [-1, -1],
    ["-1", -1],
    ["-5m", -1],
    [-0.5, -1],
  ])("reads %p as %d s", (value, seconds) => {
    expect(keepAliveSeconds(value)).toBeCloseTo(seconds, 9);
  });

  test.each<[unknown]>([[0], [-0], ["0"], ["0s"], ["-0m"], ["0h0m"], ["100us"], [1e-9]])(
    "refuses %p, at which Ollama unloads, with a hint",
    (value) => {
      expect(refusalOf(value)).toEqual(["invalid", expect.stringContaining("Unload it instead")]);
    },
  );

  test.each<[unknown]>([
    [""],
    ["10x"],
    ["m"],
    ["10 m"],
    ["1d"],
    ["10m "],
    ["1e3"],
    ["Infinity"],
    [NaN],
    [Infinity],
    [null],
    [undefined],
    [true],
    [{}],
    [["10m"]],
    ["1".repeat(65)],
    [`${"1".repeat(61)}ms`],
    [1e12],
    ["87601h"],
  ])("refuses %p", (value) => {
    expect(refusalOf(value)[0]).toBe("invalid");
  });

  test("takes ten years", () => {
    expect(keepAliveSeconds("87600h")).toBe(315_360_000);
  });
});

describe("endsLoad()", () => {
  test.each([0, -0, "0", "00", "0.0", "0s", "-0m", "0h0m", "0µs"])("is true of %p", (value) => {
    expect(endsLoad(value)).toBe(true);
  });

  test.each([1, -1, "1s", "0h1m", "", "s", "0x", `${"0".repeat(65)}s`, null, undefined, false, [[0]], {}])(
    "is false of %p",
    (value) => {
      expect(endsLoad(value)).toBe(false);
    },
  );
});
