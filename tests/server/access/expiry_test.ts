// When a token expires, as people write it.
import { describe, expect, test } from "bun:test";
import { expiryOf } from "#src/server/access/expiry.ts";

const NOW_MS = Date.parse("2026-11-29T12:00:00Z");

describe("expiryOf()", () => {
  test.each([
    ["12h", "2026-11-30T00:00:00.000Z"],
    ["30d", "2026-12-29T12:00:00.000Z"],
    ["2027-06-01", "2027-06-01T23:59:59.999Z"],
    // Today is not over.
    ["2026-11-29", "2026-11-29T23:59:59.999Z"],
  ])("takes %p as until %p", (text, end) => {
    expect(expiryOf(text, NOW_MS)).toBe(Date.parse(end));
  });

  test.each(["", "0d", "30", "30m", "-1d", "1.5d", "999999d", "2026-11-28", "2027-02-30", "2027-6-1", "9999-12-32"])(
    "takes %p as none",
    (text) => {
      expect(expiryOf(text, NOW_MS)).toBeUndefined();
    },
  );

  test("takes no time so far away that an instant is written in another form", () => {
    expect(expiryOf("99999d", Date.UTC(9_999, 0))).toBeUndefined();
  });
});
