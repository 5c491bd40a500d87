// The labels of a box: what is one, and how many there may be.
import { describe, expect, test } from "bun:test";
import { parseLabel, readLabels } from "#src/agent/presence/labels.ts";
import { CourierError } from "#src/base/errors.ts";
import { Labels } from "#src/protocol.ts";

function refusal(action: () => unknown): CourierError {
  try {
    action();
  } catch (error) {
    if (error instanceof CourierError) return error;
    throw error;
  }
  return expect.unreachable();
}

const LONG = "x".repeat(63);

describe("parseLabel()", () => {
  test.each(["site=berlin", "a=1", "team/owner=vision-2", "kernel=6.12_rt", `${LONG}=${LONG}`])(
    "accepts %p",
    (text) => {
      expect(parseLabel(text)).toBe(text);
    },
  );

  test.each([
    "site",
    "=berlin",
    "site=",
    "site=berlin=mitte",
    "site=berlin mitte",
    "-site=berlin",
    "site=berlin.",
    "site=\u001b[2J",
    "größe=1",
    `${LONG}x=1`,
    `site=${LONG}x`,
    "x".repeat(100_000),
  ])("refuses %p with an example", (text) => {
    const { code, message, hint } = refusal(() => parseLabel(text));
    expect([code, hint]).toEqual(["invalid", expect.stringContaining("site=berlin")]);
    expect(message.length).toBeLessThan(1000);
  });
});

describe("readLabels()", () => {
  const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `key-${i}=${LONG}`);

  test("returns what readers accept when there are as many as an agent may have", () => {
    const labels = readLabels(many(16));
    expect(Object.keys(labels).length).toBe(16);
    expect(Labels.parse(labels)).toEqual(labels);
    expect(readLabels([])).toEqual({});
  });

  test("refuses one more, and two values for one key", () => {
    expect(refusal(() => readLabels(many(17)))).toMatchObject({
      code: "invalid",
      message: "Cannot use 17 labels: an agent has at most 16",
      hint: "Omit 1 of the --label flags",
    });
    expect(refusal(() => readLabels(["site=berlin", "site=paris"]))).toMatchObject({
      code: "invalid",
      message: "Cannot use the labels site=berlin and site=paris together",
    });
    expect(readLabels(["site=berlin", "site=berlin"])).toEqual({ site: "berlin" });
  });
});
