// The log of ended jobs: numbers that stay, over a restart and when it gets long.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
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
  const log = new EndedJobs(database);
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

test("add() leaves out what is under way, and what ended before the log began, by the share's clock", () => {
  life((log) => {
    expect(log.add([newPull("queued", "gpu-1", "phi4"), ended("old", -1)])).toBe(false);
    expect(log.add([ended("by a slow clock", -60)], 120_000)).toBe(true);
    expect(log.add([ended("by a fast clock", 60)], -120_000)).toBe(false);
  });
});

test("begin() counts once, also over a restart and for another server; before it nothing is news", () => {
  const database = openStore(folder);
  const [log, other] = [new EndedJobs(database), new EndedJobs(database)];
  expect(log.add([ended("too early", 60)])).toBe(false);
  log.begin(clock.now());
  other.begin(clock.now() + 10_000);
  expect([log.add([ended("a", 1)]), other.add([ended("b", 2)])]).toEqual([true, true]);
  const restarted = new EndedJobs(database);
  restarted.begin(clock.now() + 20_000);
  expect(restarted.add([ended("c", 3)])).toBe(true);
  database.close();
});

test("reaches() is false for forgotten ends, which are not news again", () => {
  const all = Array.from({ length: 20_000 }, (_, index) => ended(`job-${index}`, index / 1000));
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
    expect(log.add([ended("next", 20_000)])).toBe(true);
  });
});
