// What a job shows of its progress, and what it sees of Ollama's folder.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelsFolder } from "#src/agent/disk/models_folder.ts";
import { PulledBlobs, type Stopped } from "#src/agent/disk/pulled_blobs.ts";
import { PullTracker } from "#src/agent/ollama/pull_tracker.ts";
import { JobProgress } from "#src/agent/pulls/job_progress.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { until } from "#tests/support/until.ts";

const A = `sha256:${"a".repeat(64)}`;
const B = `sha256:${"b".repeat(64)}`;

describe("JobProgress", () => {
  const fresh = (): JobProgress => new JobProgress({ completed_bytes: 0, total_bytes: null });
  const downloading = { phase: "downloading", totalBytes: 1000 } as const;

  test("knows the model's size before its first byte when the registry reported it", () => {
    const progress = fresh();
    progress.expect(5000);
    progress.note({ ...downloading, completedBytes: 10, receivedBytes: 10 }, 0);
    expect(progress.fields).toMatchObject({ state: "running", completed_bytes: 10, total_bytes: 5000 });
  });

  test("takes nothing back, neither over a new attempt nor over a restart", () => {
    const progress = new JobProgress({ completed_bytes: 600, total_bytes: 1000 });
    expect(progress.fields).toMatchObject({ completed_bytes: 600, total_bytes: 1000 });
    progress.note({ ...downloading, totalBytes: 500, completedBytes: 100, receivedBytes: 0 }, 0);
    expect(progress.fields).toMatchObject({ completed_bytes: 600, total_bytes: 1000 });
  });

  test("is whole while Ollama verifies, whatever the last line said, and has no speed then", () => {
    const progress = fresh();
    progress.note({ ...downloading, completedBytes: 900, receivedBytes: 900 }, 0);
    progress.note({ phase: "verifying", totalBytes: 1000, completedBytes: 990, receivedBytes: 900 }, 1000);
    expect(progress.fields).toEqual({
      state: "verifying",
      phase: "verifying",
      completed_bytes: 1000,
      total_bytes: 1000,
      bytes_per_second: null,
      eta_seconds: null,
    });
  });

  test("uses what comes, not by what was there, and slows down when nothing does", () => {
    const progress = fresh();
    // 500 were there.
    progress.note({ ...downloading, completedBytes: 500, receivedBytes: 0 }, 0);
    progress.note({ ...downloading, completedBytes: 600, receivedBytes: 100 }, 1000);
    expect(progress.fields).toMatchObject({ bytes_per_second: 100, eta_seconds: 4 });
    for (const atMs of [2000, 3000, 4000, 5000]) progress.tick(atMs);
    expect(progress.fields).toMatchObject({ bytes_per_second: 20, eta_seconds: 20 });
    for (const atMs of [6000, 7000, 12_000]) progress.tick(atMs);
    expect(progress.fields).toMatchObject({ bytes_per_second: 0, eta_seconds: null });
  });
});

describe("the time that is left", () => {
  test.each([
    ["some days", 100_000, 4e10, 400_000],
    ["more than a month at this speed, so it shows no time", 10, 4e10, null],
  ])("is %s", (_what, bytesPerSecond, totalBytes, seconds) => {
    const progress = new JobProgress({ completed_bytes: 0, total_bytes: totalBytes });
    for (let second = 0; second <= 5; second++) {
      const received = second * bytesPerSecond;
      progress.note({ phase: "downloading", completedBytes: 0, totalBytes, receivedBytes: received }, second * 1000);
    }
    expect(progress.fields).toMatchObject({ bytes_per_second: bytesPerSecond, eta_seconds: seconds });
  });
});

describe("PullTracker over attempts and processes", () => {
  const line = (digest: string, completed: number) => ({ status: `pulling ${digest}`, digest, total: 100, completed });

  test("begin() keeps what was counted, and counts as received only what comes", () => {
    const tracker = new PullTracker();
    tracker.note(line(A, 0));
    tracker.note(line(A, 40));
    tracker.begin();
    expect(tracker.progress).toMatchObject({ phase: "manifest", completedBytes: 40, totalBytes: 100 });
    tracker.note(line(A, 38));
    tracker.note(line(A, 60));
    expect(tracker.progress).toMatchObject({ completedBytes: 60, receivedBytes: 62 });
  });

  test("goes on from the layers that another process noted", () => {
    const before = new PullTracker();
    before.note(line(A, 40));
    const after = new PullTracker(before.layers);
    expect(after.progress).toMatchObject({ completedBytes: 40, totalBytes: 100 });
    expect(after.layers).toEqual([
      { digest: A, total_bytes: 100, completed_bytes: 40, fetched: true, doubtful: false },
    ]);
  });

  test("a layer that only a later attempt sees, whole, may have been fetched by one before it", () => {
    const tracker = new PullTracker();
    tracker.begin();
    tracker.note(line(A, 100));
    tracker.begin();
    tracker.note(line(A, 100));
    tracker.note(line(B, 100));
    expect(tracker.unverified).toEqual([B]);
    const kept = new PullTracker(tracker.layers);
    kept.begin();
    for (const digest of [A, B]) kept.note(line(digest, 100));
    expect(kept.unverified).toEqual([B]);
    // Ollama verifies what it fetches.
    kept.begin();
    for (const completed of [0, 100]) kept.note(line(B, completed));
    expect(kept.unverified).toEqual([]);
  });

  test("so may one of a process that noted no layer", () => {
    for (const hasBegun of [true, false]) {
      const tracker = new PullTracker([], hasBegun);
      tracker.begin();
      tracker.note(line(A, 100));
      expect(tracker.unverified).toEqual(hasBegun ? [A] : []);
    }
  });

  test("counts no more layers than any model has", () => {
    const tracker = new PullTracker();
    for (let i = 0; i < 5000; i++) tracker.note(line(`sha256:${String(i).padStart(64, "0")}`, 1));
    expect(tracker.layers.length).toBe(4096);
  });

  test("forgets the layers of a manifest that the registry no longer gives", () => {
    const tracker = new PullTracker();
    tracker.note(line(A, 40));
    tracker.begin();
    tracker.note(line(B, 100));
    tracker.note({ status: "verifying sha256 digest" });
    expect(tracker.progress).toMatchObject({ completedBytes: 100, totalBytes: 100 });
  });

  test("layers distinguish present data from fetched data", () => {
    const tracker = new PullTracker();
    tracker.note(line(A, 100));
    tracker.note(line(B, 10));
    expect(tracker.layers.map(({ fetched }) => fetched)).toEqual([false, true]);
  });
});

describe("PulledBlobs", () => {
  let dir = "";
  let clock: ManualClock;
  let blobs: PulledBlobs;
  let looks: number;
  let stopped: Stopped | "" = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "models-"));
    mkdirSync(join(dir, "blobs"));
    clock = new ManualClock();
    looks = 0;
    stopped = "";
    const inBlobs: ModelsFolder["inBlobs"] = async (read) => {
      const found = await read(join(dir, "blobs"));
      looks += 1;
      return found;
    };
    blobs = new PulledBlobs({ inBlobs }, clock);
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const file = (digest: string, suffix = ""): string => join(dir, "blobs", digest.replace(":", "-") + suffix);

  test("bytes() counts what takes room on disk, not how long an unfinished file is", async () => {
    writeFileSync(file(A, "-partial"), Buffer.alloc(100_000, 1));
    truncateSync(file(A, "-partial"), 1_000_000_000);
    writeFileSync(file(B), Buffer.alloc(50_000, 1));
    expect(await blobs.bytes([A, B])).toBeWithin(150_000, 250_000);
    expect(await blobs.bytes([B])).toBeWithin(50_000, 100_000);
  });

  test("bytes() returns null when nothing of it can be seen, or a digest is invalid", async () => {
    writeFileSync(join(dir, "secret"), "x");
    expect(await blobs.bytes([A])).toBeNull();
    expect(await blobs.bytes(["sha256:../../secret", "../secret"])).toBeNull();
    const unknown = new PulledBlobs({ inBlobs: async () => await Promise.resolve(null) }, clock);
    expect(await unknown.bytes([A])).toBeNull();
  });

  /** The next look, once the one before is over. */
  async function tick(): Promise<void> {
    await until(() => looks > 0);
    const before = looks;
    await clock.advance(200);
    await until(() => looks > before || stopped !== "");
  }

  test("untilStopped() returns when nothing was written for a second", async () => {
    writeFileSync(file(A, "-partial"), "x");
    void blobs.untilStopped([A]).then((result) => (stopped = result));
    for (let i = 0; i < 10; i++) {
      appendFileSync(file(A, "-partial"), Buffer.alloc(10_000, i));
      await tick();
    }
    expect(stopped).toBe("");
    for (let i = 0; i < 6; i++) await tick();
    expect(stopped).toBe("stopped");
  });

  test("untilStopped() says after 5 s that it still grows", async () => {
    writeFileSync(file(A, "-partial"), "x");
    void blobs.untilStopped([A]).then((result) => (stopped = result));
    for (let i = 0; i < 27; i++) {
      appendFileSync(file(A, "-partial"), Buffer.alloc(10_000, i));
      await tick();
    }
    expect(stopped).toBe("growing");
  });

  test("untilStopped() says that nothing can be seen", async () => {
    expect(await blobs.untilStopped([A])).toBe("unseen");
  });
});
