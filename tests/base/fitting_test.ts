// How much of a list fits into a limit, against the length of the JSON that is written.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { fittingCount } from "#src/base/fitting.ts";

test("fittingCount() takes as many of the first items as the JSON of them fits, and not one less", () => {
  const items = fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.object()), { maxLength: 20 });
  fc.assert(
    fc.property(items, fc.nat(200), (list, maxBytes) => {
      const bytes = (count: number): number => Buffer.byteLength(JSON.stringify(list.slice(0, count)));
      const count = fittingCount(list, maxBytes);
      if (count > 0) expect(bytes(count)).toBeLessThanOrEqual(maxBytes);
      if (count < list.length) expect(bytes(count + 1)).toBeGreaterThan(maxBytes);
    }),
  );
});

test("fittingCount() reads no further than the first item that does not fit", () => {
  const unread = { toJSON: () => expect.unreachable() };
  expect(fittingCount(["a", "b".repeat(100), unread], 50)).toBe(1);
});
