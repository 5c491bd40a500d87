// Which known name a mistyped one may mean.
import { expect, test } from "bun:test";
import { nearest } from "#src/server/http/nearest.ts";

const KNOWN = ["agent", "limit", "after", "state", "sort"];

test.each([
  ["agnet", "agent"],
  ["Agent", "agent"],
  ["agents", "agent"],
  ["stat", "state"],
  ["lmit", "limit"],
  ["purple", undefined],
  ["", undefined],
  ["x".repeat(100_000), undefined],
])("nearest(%p) is %p", (name, expected) => {
  expect(nearest(name, KNOWN)).toBe(expected);
});

test("nearest() does not take a short name for another one", () => {
  expect(nearest("ab", ["id"])).toBeUndefined();
  expect(nearest("x", [])).toBeUndefined();
});
