// The log of ended jobs: numbers that stay, over a restart and when it gets long.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isoTime } from "#src/base/clock.ts";
import { type Job, newPull } from "#src/protocol.ts";
import { EndedJobs } from "#src/server/store/ended_jobs.ts";
import { openStore } from "#src/server/store/store.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

let folder: string;
let clock: ManualClock;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gpu-courier-ended-"));
  clock = new ManualClock();
});
afterEach(() => rmSync(folder, { recursive: true }));

function ended(id: string, secondsLater = 0): Job {
  const ended_at = isoTime(clock.now() + secondsLater * 1000);
  return { ...newPull(id, "gpu-1", "phi4:latest"), state: "succeeded", ended_at };
}

/** A server's life: from opening the store to closing it. */
function life(use: (log: EndedJobs) => void): void {
  const database = openStore(folder);
  const log = new EndedJobs(database, clock);
  log.begin(clock.now());
  use(log);
  database.close();
}

function numbers(log: EndedJobs, after: number): [number, string | null][] {
  return log.after(after, 1000).map(({ number, job }) => [number, job.id]);
}

test("add() numbers each end once, in the order of their ends, also over a restart", () => {
  let id = "";
  life((log) => {
    id = log.id;
    expect(log.add([ended("b", 2), ended("a", 1)])).toBe(true);
    expect(log.add([ended("a", 1)])).toBe(false);
    expect(numbers(log, 0).map(([, job]) => job)).toEqual(["a", "b"]);
  });
  life((log) => {
    expect([log.id, log.last]).toEqual([id, 2]);
    expect(log.add([ended("a", 1), ended("b", 2), ended("c", 3)])).toBe(true);
    expect(numbers(log, 1).map(([, job]) => job)).toEqual(["b", "c"]);
    expect(log.find("c")?.number).toBe(log.last);
  });
});

test("add() by two servers on one store gives each end one number, which both return", () => {
  life((log) => {
    life((other) => {
      other.add([ended("a")]);
      expect([log.add([ended("a")]), log.add([ended("b")])]).toEqual([true, true]);
      other.add([ended("b")]);
      expect(numbers(log, 0).map(([, job]) => job)).toEqual(["a", "b"]);
      expect(numbers(other, 0)).toEqual(numbers(log, 0));
    });
  });
});

test("an end is its agent's: another agent's under the same id neither replaces nor hides it", () => {
  const other = { ...ended("a"), agent: "zzz", state: "failed" } as const;
  life((log) => {
    expect([log.add([other]), log.add([ended("a", 1)]), log.add([other, ended("a", 1)])]).toEqual([true, true, false]);
  });
  life((log) => {
    expect([log.news([other, ended("a", 1)]), log.last]).toEqual([[], 2]);
    expect(log.after(0, 9).map(({ job }) => [job.agent, job.id])).toEqual([
      ["zzz", "a"],
      ["gpu-1", "a"],
    ]);
    expect([log.find("a")?.job.agent, log.find("a", (agent) => agent === "gpu-1")?.number]).toEqual(["zzz", 2]);
    expect([log.find("gpu-1/a"), log.find("a", () => false)]).toEqual([undefined, undefined]);
  });
});

test("add() leaves out what is under way, and what ended before the log began, by the share's clock", () => {
  life((log) => {
    expect(log.add([newPull("queued", "gpu-1", "phi4"), ended("old", -1)])).toBe(false);
    expect(log.add([ended("by a slow clock", -60)], 120_000)).toBe(true);
    expect(log.add([ended("by a fast clock", 60)], -120_000)).toBe(false);
  });
});

test("begin() counts once, also over a restart and for another server; before it nothing is news", () => {
  const database = openStore(folder);
  const [log, other] = [new EndedJobs(database, clock), new EndedJobs(database, clock)];
  expect(log.add([ended("too early", 60)])).toBe(false);
  log.begin(clock.now());
  other.begin(clock.now() + 10_000);
  expect([log.add([ended("a", 1)]), other.add([ended("b", 2)])]).toEqual([true, true]);
  const restarted = new EndedJobs(database, clock);
  restarted.begin(clock.now() + 20_000);
  expect(restarted.add([ended("c", 3)])).toBe(true);
  database.close();
});

test("reaches() is false for forgotten ends, which are not news again", async () => {
  const all = Array.from({ length: 20_000 }, (_, index) => ended(`job-${index}`, index / 1000));
  life(() => undefined);
  await clock.advance(20_000);
  life((log) => {
    log.add(all);
    const [oldest] = numbers(log, 0);
    expect(oldest?.[0]).toBe(10_001);
    expect([log.reaches(9_999), log.reaches(10_000), log.reaches(20_000), log.reaches(20_001)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
  life((log) => {
    expect(log.add(all)).toBe(false);
    expect([log.reaches(9_999), log.reaches(10_000), log.last]).toEqual([false, true, 20_000]);
    expect(log.add([ended("next")])).toBe(true);
  });
});

test("add() keeps the database small, however many ends of whatever size come", () => {
  const error = "\u0001".repeat(1_000);
  const flood = (round: number): Job[] =>
    Array.from({ length: 500 }, (_, index) => ({ ...ended(`job-${round}-${index}`, round), error, note: error }));
  life((log) => {
    // 12 kB each: 120 MB in all.
    for (let round = 0; round < 20; round++) log.add(flood(round));
    expect(log.find("job-19-499")).toBeDefined();
    expect(log.find("job-0-0")).toBeUndefined();
  });
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  expect(bytes).toBeLessThan(32 * 1024 * 1024);
  life((log) => {
    log.add(flood(20));
    expect(log.last - log.after(0, 100_000).length).toBeGreaterThan(8_000);
  });
});

test("add() takes an end in the future as one of now, also once it is forgotten", async () => {
  const forged = { ...ended("forged"), ended_at: "2036-01-01T00:00:00.000Z" };
  const database = openStore(folder);
  const log = new EndedJobs(database, clock);
  log.begin(clock.now());
  log.add([forged]);
  // As an earlier release stored it.
  database.query("UPDATE ended_jobs SET ended_ms = ?").run(Date.parse("2036-01-01"));
  log.add(Array.from({ length: 20_000 }, (_, index) => ended(`job-${index}`)));
  expect(log.find("forged")).toBeUndefined();
  await clock.advance(1_000);
  expect(log.add([ended("real")])).toBe(true);
  database.close();
});

test("begin() heals a log that begins in the far future", () => {
  const database = openStore(folder);
  new EndedJobs(database, clock).begin(Date.parse("2036-01-01"));
  const log = new EndedJobs(database, clock);
  expect(log.add([ended("early", 1)])).toBe(false);
  log.begin(clock.now());
  expect(log.add([ended("real", 1)])).toBe(true);
  database.close();
});

describe("a copy of another log", () => {
  const other = { id: "0000beef", sinceMs: 0, forgotten: 0 };
  const place = (log: EndedJobs, ...placed: readonly [number: number, id: string][]): void =>
    log.place(placed.map(([number, id]) => ({ number, job: ended(id), atMs: clock.now() })));

  test("has the other's id and numbers, also after a restart, and nothing of its own log", () => {
    life((log) => {
      log.add([ended("own")]);
      log.copyOf(other);
      place(log, [4, "a"], [7, "b"]);
      place(log, [7, "b"], [9, "c"]);
    });
    life((log) => {
      log.copyOf(other);
      expect([log.id, log.last]).toEqual([other.id, 9]);
      expect(numbers(log, 0)).toEqual([
        [4, "a"],
        [7, "b"],
        [9, "c"],
      ]);
      expect(log.news([ended("b"), ended("own")]).map(({ id }) => id)).toEqual(["own"]);
    });
  });

  test("that was away too long begins after the gap, and what ended before is no news", () => {
    life((log) => {
      log.copyOf(other);
      place(log, [1, "a"]);
      log.copyOf({ ...other, sinceMs: clock.now() + 1_000, forgotten: 5 });
      expect([log.last, log.reaches(1), log.reaches(5), numbers(log, 0)]).toEqual([5, false, true, []]);
      expect(log.news([ended("a"), ended("new", 2)]).map(({ id }) => id)).toEqual(["new"]);
    });
  });

  test("that has all that is kept elsewhere stays as it is", () => {
    life((log) => {
      log.copyOf(other);
      place(log, [1, "a"], [2, "b"]);
      log.copyOf({ ...other, sinceMs: clock.now() + 1_000, forgotten: 2 });
      expect([log.reaches(0), numbers(log, 0).length, log.news([ended("c")]).length]).toEqual([true, 2, 1]);
    });
  });
});
