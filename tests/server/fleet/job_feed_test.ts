// src/server/fleet/job_feed.ts: what forged state documents can put into the log of ended jobs.
import { expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import type { Job } from "#src/protocol.ts";
import { ENDS_AN_HOUR } from "#src/server/limits/end_rate.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { EventSite, job } from "#tests/support/sites/event_site.ts";
import { until } from "#tests/support/until.ts";

const ROUNDS = 100;
const HOUR_MS = 3_600_000;

test("a flood of ends under an agent's name becomes 200 ends an hour, and the others wait", async () => {
  const clock = new ManualClock();
  const logged: string[] = [];
  const log = { ...silentLog, warn: (_: object, message: string) => void logged.push(message) };
  const site = await EventSite.open({ clock, store: new MemoryStore(clock), log });
  const { endedJobs } = site.server.services;
  const ends = (round: number): Job[] =>
    Array.from({ length: 100 }, (_, index) =>
      job(round * 100 + index, { state: "failed", error: "x".repeat(2_000), ended_at: "2036-01-01T00:00:00Z" }),
    );
  const forge = async (round: number): Promise<void> => {
    await site.publish(...ends(round));
    await clock.advance(200);
  };
  for (let round = 0; round < ROUNDS; round++) await forge(round);
  expect(endedJobs.last).toBe(ENDS_AN_HOUR);
  expect(logged).toEqual(["Too many jobs of an agent ended in an hour: the others must wait"]);
  await clock.advance(HOUR_MS);
  await forge(ROUNDS);
  await until(() => endedJobs.last > ENDS_AN_HOUR);
  expect(endedJobs.after(ENDS_AN_HOUR, 1000).at(-1)?.job.error?.length).toBe(1_000);
  await site.close();
});
