// src/base/outage.ts: what is logged during an outage, and how often.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { Outage } from "#src/base/outage.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

function openOutage(): { readonly clock: ManualClock; readonly outage: Outage; readonly logged: string[] } {
  const clock = new ManualClock();
  const logged: string[] = [];
  const record = (fields: object, message: string): void => {
    const [detail] = Object.values(fields);
    logged.push(`${clock.monotonic() / 1000} s: ${message}, ${String(detail)}`);
  };
  const log = { ...silentLog, warn: record, info: record };
  return { clock, logged, outage: new Outage({ clock, log }) };
}

function stalled(seconds: number): CourierError {
  return new CourierError("unavailable", `share stalled for ${seconds} s`);
}

test("failed() logs it at once, after 10 s, a minute, 10 minutes and then hourly while it lasts", async () => {
  const { clock, outage, logged } = openOutage();
  for (let passed = 2; passed <= 8_000; passed += 2) {
    outage.failed("state", stalled(passed));
    await clock.advance(2_000);
  }
  expect(logged).toEqual([
    "0 s: Share unavailable; retrying, share stalled for 2 s",
    "10 s: Share unavailable; retrying, share stalled for 12 s",
    "60 s: Share unavailable; retrying, share stalled for 62 s",
    "600 s: Share unavailable; retrying, share stalled for 602 s",
    "3600 s: Share unavailable; retrying, share stalled for 3602 s",
    "7200 s: Share unavailable; retrying, share stalled for 7202 s",
  ]);
});

test("failed() logs once what several places find, and ended() when the last of them is over", async () => {
  const { clock, outage, logged } = openOutage();
  outage.failed("inbox", stalled(2));
  outage.failed("state", stalled(3));
  await clock.advance(4_000);
  outage.ended("state");
  outage.ended("state");
  outage.ended("inbox");
  expect(logged).toEqual(["0 s: Share unavailable; retrying, share stalled for 2 s", "4 s: Share available again, 4"]);
});

test("failed() logs each reason once when several come in turn", async () => {
  const { clock, outage, logged } = openOutage();
  for (let round = 0; round < 4; round++) {
    outage.failed("state", stalled(round));
    outage.failed("state", new CourierError("unavailable", "not mounted"));
    await clock.advance(2_000);
  }
  expect(logged.length).toBe(2);
});

test("failed() logs another reason at once", () => {
  const { outage, logged } = openOutage();
  outage.failed("state", stalled(2));
  outage.failed("state", new CourierError("unavailable", "not mounted"));
  expect(logged.map((line) => line.split(", ")[1])).toEqual(["share stalled for 2 s", "not mounted"]);
});
