// src/console/parts/local_text.ts: times and counts as text, without Intl.
import { expect, test } from "bun:test";
import { countText, localDay, localTime } from "#src/console/parts/local_text.ts";

test("countText() groups digits by three", () => {
  expect([0, 7, 999, 1_000, 16_384, 1_234_567].map(countText)).toEqual([
    "0",
    "7",
    "999",
    "1,000",
    "16,384",
    "1,234,567",
  ]);
});

test("localTime() is what Intl makes of it, and unknown for anything else", () => {
  const both = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
  for (const at of ["2026-11-28T03:07:09.995Z", "2099-06-01T23:59:59Z", "2026-01-02T00:00:00+05:30"]) {
    expect(localTime(at)).toBe(both.format(Date.parse(at)));
    expect(localTime(at)).toStartWith(localDay(at));
  }
  expect(localTime("soon")).toBe("unknown");
});
