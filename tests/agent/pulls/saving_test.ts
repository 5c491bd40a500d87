// When a pull closes its connection so that Ollama saves its progress.
import { beforeEach, describe, expect, test } from "bun:test";
import type { PullOptions } from "#src/agent/ollama/ollama.ts";
import { PullTracker } from "#src/agent/ollama/pull_tracker.ts";
import { attempts as attemptsAt } from "#src/agent/pulls/attempts.ts";
import { asCourierError, CourierError } from "#src/base/errors.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const HOUR_MS = 3_600_000;
const DIGEST = `sha256:${"a".repeat(64)}`;
const SIZE = 1000;

let clock: ManualClock;
let tracker: PullTracker;
/** The kind of each event. */
let kinds: string[];
/** One per attempt, the last one for all that follow; resolving is success. */
let attempts: ((options: PullOptions) => Promise<void>)[];
let began: number;

beforeEach(() => {
  clock = new ManualClock();
  tracker = new PullTracker();
  kinds = [];
  attempts = [];
  began = 0;
});

/** Starts the pull, and reads its events as a job does. @returns how it ended, undefined while it has not */
function start({ saveMs }: { readonly saveMs: number }) {
  const outcome: { end?: "done" | CourierError } = {};
  const events = attemptsAt({
    ollama: {
      pullModel: async (_name, options) => {
        const attempt = attempts[Math.min(began, attempts.length - 1)];
        began += 1;
        tracker.begin();
        await attempt?.(options ?? {});
      },
      deleteModel: async () => await Promise.resolve(),
    },
    blobs: { wrong: async () => await Promise.resolve([]) },
    models: { missing: async () => await Promise.resolve([]) },
    hostNames: { isMissing: async () => await Promise.resolve(false) },
    clock,
    model: "m",
    tracker,
    limits: { pullTimeoutMs: 24 * HOUR_MS, registryTimeoutMs: 24 * HOUR_MS, saveIntervalMs: saveMs },
    signal: new AbortController().signal,
  });
  void (async () => {
    try {
      for await (const event of events) {
        kinds.push(event.kind);
        if (event.kind === "waiting") await clock.sleep(event.pauseMs);
      }
      outcome.end = "done";
    } catch (error) {
      outcome.end = asCourierError(error);
    }
  })();
  return outcome;
}

/** What Ollama reports of a layer, through the tracker as the Ollama module does it. */
function reports({ onProgress }: PullOptions, completed: number): void {
  tracker.note({ status: "pulling aaaaaaaaaaaa", digest: DIGEST, total: SIZE, completed });
  onProgress?.(tracker.progress);
}

describe("saving on the way", () => {
  /** Reports 1 % more every 100 ms from where it was, until it is cut. */
  let bytes = 0;
  const fetches = async (options: PullOptions): Promise<void> => {
    for (reports(options, bytes); bytes < SIZE; reports(options, bytes)) {
      await clock.sleep(100, options.signal);
      if (options.signal?.aborted === true) throw new CourierError("cancelled", "Cancelled");
      bytes += SIZE / 100;
    }
  };
  beforeEach(() => {
    bytes = 0;
  });

  test("closes the connection and goes on once per interval, unseen, but not shortly before the layer's end", async () => {
    const beganAtBytes: number[] = [];
    attempts = [
      async (options) => {
        beganAtBytes.push(bytes);
        await fetches(options);
      },
    ];
    const outcome = start({ saveMs: 2000 });
    await clock.advance(60_000);
    expect(outcome.end).toBe("done");
    // 1 % each 100 ms: at most once in 2 s, not in the last 3 s.
    expect(beganAtBytes).toEqual([0, 200, 400, 600]);
    expect(new Set(kinds)).toEqual(new Set(["progress"]));
  });

  test.each([
    ["never, with an interval of 0", 0],
    ["not at all within the first interval", 20_000],
  ])("closes it %s", async (_what, saveMs) => {
    attempts = [fetches];
    const outcome = start({ saveMs });
    await clock.advance(60_000);
    expect([outcome.end, began]).toEqual(["done", 1]);
  });

  test.each([
    ["all of it", 0],
    ["what was on the wire", 0.5],
  ])("ends where %s is lost each time that the connection closes", async (_what, share) => {
    attempts = [
      async (options) => {
        bytes = Math.round(bytes * share);
        await fetches(options);
      },
    ];
    const outcome = start({ saveMs: 2000 });
    await clock.advance(200_000);
    expect(outcome.end).toBe("done");
    expect(began).toBeLessThanOrEqual(6);
  });

  test("an Ollama that is killed at 30 % of a 10-minute pull loses at most what arrived in the last save interval", async () => {
    const intervalMs = 60_000;
    const bytesPerMs = SIZE / 600_000;
    let savedBytes = 0;
    let lostBytes = 0;
    const ollama = async (options: PullOptions): Promise<void> => {
      // What an Ollama process has saved, it starts with.
      for (bytes = savedBytes; bytes < SIZE; ) {
        reports(options, bytes);
        await clock.sleep(500, options.signal);
        if (options.signal?.aborted === true) {
          savedBytes = bytes;
          throw new CourierError("cancelled", "Cancelled");
        }
        bytes += 500 * bytesPerMs;
        if (lostBytes === 0 && bytes >= SIZE * 0.3) {
          lostBytes = bytes - savedBytes;
          throw new CourierError("unavailable", "Ollama refuses the connection");
        }
      }
      reports(options, SIZE);
    };
    attempts = [ollama];
    const outcome = start({ saveMs: intervalMs });
    await clock.advance(20 * 60_000);
    expect(outcome.end).toBe("done");
    expect(lostBytes).toBeWithin(1, intervalMs * bytesPerMs + 1);
  });

  test("saves nothing once a layer is whole, which only the same attempt verifies", async () => {
    attempts = [
      async (options) => {
        tracker.note({ status: "pulling b", digest: `sha256:${"b".repeat(64)}`, total: 10, completed: 1 });
        await fetches(options);
      },
    ];
    const outcome = start({ saveMs: 1000 });
    await clock.advance(60_000);
    expect([outcome.end, began]).toEqual(["done", 1]);
  });
});
