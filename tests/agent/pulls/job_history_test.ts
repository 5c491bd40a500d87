// Many jobs: which run at the same time, and which are kept and shown, whatever the clock says and however long they took.
import { beforeEach, describe, expect, test } from "bun:test";
import { Jobs } from "#src/agent/pulls/jobs.ts";
import { PullWindows } from "#src/agent/pulls/limits/pull_windows.ts";
import type { Foreseen } from "#src/agent/pulls/preflight.ts";
import { isoTime } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { isEnded, type Job, LIMITS } from "#src/protocol.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { OffsetClock } from "#tests/support/clocks/offset_clock.ts";
import * as release010 from "#tests/support/release_0_1_0.ts";

const HOUR_MS = 3_600_000;

let time: ManualClock;
let clock: OffsetClock;
/** Pulls of these stay under way until the promise resolves; others end at once. */
let heldUp: Map<string, Promise<void>>;
let kept: Map<string, string>;
/** The preflight. */
let foresee: (force: boolean) => Promise<Foreseen>;
/** Ollama stops what was cancelled when this resolves. */
let stops: Promise<void>;
/** Models in the order in which Ollama was asked for them. */
let pulled: string[];
let jobs: Jobs;
beforeEach(() => {
  time = new ManualClock();
  clock = new OffsetClock(0, time);
  heldUp = new Map();
  kept = new Map();
  pulled = [];
  stops = Promise.resolve();
  foresee = async () => await Promise.resolve({ totalBytes: null, note: null });
  jobs = openJobs();
});

/** As a new process of the agent would: from what is kept. */
function openJobs(): Jobs {
  return new Jobs({
    registries: { requireAllowed: () => undefined },
    agent: "gpu-1",
    ollama: {
      pullModel: async (name, options) => {
        pulled.push(name);
        options?.tracker?.note({ status: "pulling a", digest: `sha256:${"a".repeat(64)}`, total: 10, completed: 1 });
        await Promise.race([heldUp.get(name), whenCancelled(options?.signal).then(async () => await stops)]);
      },
      deleteModel: async () => await Promise.resolve(),
    },
    ledger: {
      jobs: () => [...kept].map(([id, document]) => ({ id, document })),
      keepJob: (id, document) => void kept.set(id, document),
    },
    blobs: {
      bytes: async () => await Promise.resolve(null),
      untilStopped: async () => await Promise.resolve("unseen"),
      wrong: async () => await Promise.resolve([]),
    },
    models: { missing: async () => await Promise.resolve([]) },
    clock,
    log: silentLog,
    maxPulls: 2,
    windows: new PullWindows([]),
    limits: { pullTimeoutMs: 24 * HOUR_MS, registryTimeoutMs: 24 * HOUR_MS, saveIntervalMs: 300_000 },
    hostNames: { isMissing: async () => await Promise.resolve(false) },
    changes: { notify: () => undefined },
    preflight: { check: async (_, { force }) => await foresee(force) },
    monitor: { refresh: async () => await Promise.resolve(), models: null },
  });
}

async function whenCancelled(signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
}

async function pullMany(count: number): Promise<void> {
  for (let i = 0; i < count; i++) jobs.pull(`m${i}`);
  for (let i = 0; i < count; i++) await settle();
}

function states(shown: readonly Job[]): string[] {
  return shown.map(({ model, state }) => `${model} ${state}`);
}

test("a pull that 250 others overtook is shown when it ends, and the last 200 to end are kept", async () => {
  const end = Promise.withResolvers<void>();
  heldUp.set("long", end.promise);
  jobs.pull("long");
  await pullMany(250);
  expect(states(jobs.list())).toContain("long running");
  end.resolve();
  await settle();
  expect(states(jobs.list())).toContain("long succeeded");
  expect(jobs.list().length).toBe(LIMITS.endedJobsInState);
  expect(jobs.history().length).toBe(LIMITS.endedJobsKept);
});

test("two pulls of one model never run beside each other: the next waits until the cancelled one has stopped", async () => {
  const stopping = Promise.withResolvers<void>();
  stops = stopping.promise;
  heldUp.set("m", new Promise(() => undefined));
  const first = jobs.pull("m");
  await settle();
  const cancelled = jobs.cancelJob(first.id ?? "");
  jobs.pull("M");
  await settle();
  expect(pulled).toEqual(["m"]);
  stopping.resolve();
  await time.advance(1000);
  expect((await cancelled).state).toBe("cancelled");
  expect(pulled).toEqual(["m", "M"]);
});

test("a job counts as cancelled a second later where Ollama's folder cannot be read", async () => {
  heldUp.set("m", new Promise(() => undefined));
  const job = jobs.pull("m");
  await settle();
  const cancelled = jobs.cancelJob(job.id ?? "");
  await time.advance(900);
  expect(states(jobs.list())).toEqual(["m running"]);
  await time.advance(100);
  expect((await cancelled).error).toContain("Ollama's folder cannot be read");
});

test("othersBegun() leaves out what is queued, and what is of the same model", () => {
  for (const model of ["a", "b", "c"]) heldUp.set(model, new Promise(() => undefined));
  for (const model of ["a", "b", "c"]) jobs.pull(model);
  expect(jobs.othersBegun("A").map(({ model }) => model)).toEqual(["b"]);
  expect(jobs.othersBegun("d").map(({ model }) => model)).toEqual(["a", "b"]);
});

test("more jobs than may be queued are refused and leave no job; a request that joins one is accepted", async () => {
  const end = Promise.withResolvers<void>();
  for (const model of ["a", "b"]) heldUp.set(model, end.promise);
  const first = jobs.pull("a");
  jobs.pull("b");
  await pullMany(LIMITS.activeJobs - 2);
  expect(() => jobs.pull("one-more")).toThrow(
    new CourierError("exhausted", 'Cannot pull "one-more": 300 jobs are queued'),
  );
  expect(jobs.active().length).toBe(LIMITS.activeJobs);
  expect(jobs.pull("a").id).toBe(first.id);
  end.resolve();
  await settle();
  expect(isEnded(jobs.pull("one-more"))).toBe(false);
});

test("none of 250 that are queued is forgotten", async () => {
  const end = Promise.withResolvers<void>();
  for (const model of ["a", "b"]) heldUp.set(model, end.promise);
  jobs.pull("a");
  jobs.pull("b");
  await pullMany(250);
  expect(pulled).toEqual(["a", "b"]);
  end.resolve();
  for (let i = 0; i < 250; i++) await settle();
  expect(pulled).toEqual(["a", "b", ...Array.from({ length: 250 }, (_, i) => `m${i}`)]);
});

test("pulls that were cancelled before they began are forgotten too, though no other ends", async () => {
  const never = new Promise<void>(() => undefined);
  for (const model of ["a", "b"]) heldUp.set(model, never);
  jobs.pull("a");
  jobs.pull("b");
  for (let i = 0; i < 210; i++) await jobs.cancelJob(jobs.pull(`m${i}`).id ?? "");
  expect(jobs.history().length).toBe(LIMITS.endedJobsKept + 2);
});

test("what ends after the clock was set back is shown anyway", async () => {
  clock.offsetMs = HOUR_MS;
  await pullMany(25);
  clock.offsetMs = 0;
  jobs.pull("last");
  await settle();
  expect(states(jobs.list())).toContain("last succeeded");
});

test("a restart shows those that ended last, not those that were asked for last", async () => {
  const end = Promise.withResolvers<void>();
  heldUp.set("long", end.promise);
  jobs.pull("long");
  await pullMany(25);
  clock.offsetMs = HOUR_MS;
  end.resolve();
  await settle();
  jobs = openJobs();
  expect(states(jobs.list())).toContain("long succeeded");
  expect(jobs.list().length).toBe(LIMITS.endedJobsInState);
});

test("a job keeps who asked for it first, and when, also over a restart", async () => {
  heldUp.set("m", new Promise(() => undefined));
  const { created_at, requested_by } = jobs.pull("m", { requestedBy: "alice" });
  expect([created_at, requested_by]).toEqual([isoTime(clock.now()), "alice"]);
  await time.advance(5_000);
  const first = { created_at, requested_by };
  expect(jobs.pull("m", { requestedBy: "bob" })).toMatchObject(first);
  jobs = openJobs();
  expect(jobs.list()).toMatchObject([first]);
  expect(jobs.pull("nobody")).toMatchObject({ created_at: isoTime(clock.now()), requested_by: null });
});

test("release 0.1.0 reads the jobs that this one keeps, and this one what is left of them then", async () => {
  heldUp.set("running", new Promise(() => undefined));
  for (const model of ["ended", "running", "queued"]) jobs.pull(model, { requestedBy: "alice", force: true });
  await settle();
  const before = states(jobs.history());
  for (const [id, document] of kept) {
    const read = release010.KeptJob.safeParse(JSON.parse(document));
    expect(read.error).toBeUndefined();
    kept.set(id, JSON.stringify(read.data));
  }
  jobs = openJobs();
  expect(jobs.history().map(({ model, created_at }) => [model, created_at])).toEqual([
    ["ended", undefined],
    ["running", undefined],
    ["queued", undefined],
  ]);
  expect(before).toContain("running running");
});

describe("one who joins with force", () => {
  const tooSmall = async (force: boolean): Promise<Foreseen> => {
    await settle();
    if (force) return { totalBytes: 1, note: "forced" };
    throw new CourierError("exhausted", "too small");
  };

  test("is heard although the job is being looked at already", async () => {
    foresee = tooSmall;
    jobs.pull("m");
    jobs.pull("m", { force: true });
    for (let i = 0; i < 5; i++) await settle();
    expect(states(jobs.history())).toEqual(["m succeeded"]);
  });

  test("is heard by a job that is queued, also over a restart", async () => {
    const never = new Promise<void>(() => undefined);
    for (const model of ["a", "b"]) heldUp.set(model, never);
    for (const model of ["a", "b", "m"]) jobs.pull(model);
    jobs.pull("m", { force: true });
    foresee = tooSmall;
    heldUp.clear();
    jobs = openJobs();
    jobs.start();
    for (let i = 0; i < 9; i++) await settle();
    expect(states(jobs.history())).toEqual(["a failed", "b failed", "m succeeded"]);
  });
});
