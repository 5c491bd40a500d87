// The order of names, as people count.
import { expect, test } from "bun:test";
import { compareNames } from "#src/base/order.ts";

test("compareNames() counts the numbers in names", () => {
  const names = ["gpu-10", "gpu-2", "gpu", "a10b2", "a10b10", "a9b9", "gpu-02", "gpu-1"];
  expect(names.toSorted(compareNames)).toEqual([
    "a9b9",
    "a10b2",
    "a10b10",
    "gpu",
    "gpu-1",
    "gpu-02",
    "gpu-2",
    "gpu-10",
  ]);
});
