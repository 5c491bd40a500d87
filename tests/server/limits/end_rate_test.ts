// src/server/limits/end_rate.ts: how many ends of jobs an agent may have in an hour.
import { expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { ENDS_AN_HOUR, EndRate } from "#src/server/limits/end_rate.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const HOUR_MS = 3_600_000;

test("room() is less by what was taken, for each agent, and whole again an hour after the first", async () => {
  const clock = new ManualClock();
  const rate = new EndRate({ clock, log: silentLog });
  rate.take("gpu-1", 150, 0);
  await clock.advance(HOUR_MS - 1);
  rate.take("gpu-1", 50, 10);
  expect([rate.room("gpu-1"), rate.room("gpu-2")]).toEqual([0, ENDS_AN_HOUR]);
  await clock.advance(1);
  expect(rate.room("gpu-1")).toBe(ENDS_AN_HOUR);
  rate.take("gpu-1", 1, 0);
  expect(rate.room("gpu-1")).toBe(ENDS_AN_HOUR - 1);
});

test("take() logs the first agent in an hour whose ends must wait", async () => {
  const clock = new ManualClock();
  const logged: object[] = [];
  const rate = new EndRate({ clock, log: { ...silentLog, warn: (fields) => void logged.push(fields) } });
  const fill = (agent: string): void => {
    rate.take(agent, ENDS_AN_HOUR, 1);
    rate.take(agent, 0, 1);
  };
  fill("gpu-1");
  fill("gpu-2");
  await clock.advance(HOUR_MS);
  fill("gpu-2");
  expect(logged).toMatchObject([{ agent: "gpu-1" }, { agent: "gpu-2" }]);
});
