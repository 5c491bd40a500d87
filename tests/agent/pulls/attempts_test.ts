// The attempts at one pull: which failures are tried again, how long, what is said, and what is saved on the way.
import { beforeEach, describe, expect, test } from "bun:test";
import { ollamaFailure } from "#src/agent/ollama/meanings.ts";
import type { PullOptions } from "#src/agent/ollama/ollama.ts";
import { type PullProgress, PullTracker } from "#src/agent/ollama/pull_tracker.ts";
import { PatientPull } from "#src/agent/pulls/attempts.ts";
import { asCourierError, CourierError } from "#src/base/errors.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const HOUR_MS = 3_600_000;
const DIGEST = `sha256:${"a".repeat(64)}`;
const SIZE = 1000;

let clock: ManualClock;
let tracker: PullTracker;
let controller: AbortController;
let notes: string[];
let retries: string[];
let recoveries: number;
/** One per attempt, the last one for all that follow; resolving is success. */
let attempts: ((options: PullOptions) => Promise<void>)[];
let began: number;
/** Digests whose bytes on disk are others; and the models that were deleted. */
let wrong: Set<string>;
let deleted: string[];
/** Digests of the model that are not on disk although Ollama reported success. */
let missing: string[];

beforeEach(() => {
  clock = new ManualClock();
  tracker = new PullTracker();
  controller = new AbortController();
  notes = [];
  retries = [];
  recoveries = 0;
  attempts = [];
  began = 0;
  wrong = new Set();
  deleted = [];
  missing = [];
});

/** Starts the pull. @returns how it ended, undefined while it has not */
function start(patienceMs = 24 * HOUR_MS) {
  const outcome: { end?: "done" | CourierError } = {};
  const pull = new PatientPull({
    ollama: {
      pullModel: async (_name: string, options?: PullOptions) => {
        const attempt = attempts[Math.min(began, attempts.length - 1)];
        began += 1;
        tracker.begin();
        await attempt?.(options ?? {});
      },
      deleteModel: async (name: string) => {
        await Promise.resolve();
        deleted.push(name);
      },
    },
    blobs: {
      wrong: async (digests) => await Promise.resolve(digests.filter((digest) => wrong.has(digest))),
    },
    models: { missing: async () => await Promise.resolve(missing) },
    clock,
    model: "m",
    tracker,
    patienceMs,
    signal: controller.signal,
    onProgress: () => undefined,
    onPause: (note) => notes.push(note),
    onRetry: (note) => retries.push(note),
    onRecovery: () => {
      recoveries += 1;
    },
  });
  void (async () => {
    try {
      await pull.run();
      outcome.end = "done";
    } catch (error) {
      outcome.end = asCourierError(error);
    }
  })();
  return outcome;
}

function says(text: string): () => Promise<void> {
  return async () => {
    await Promise.resolve();
    throw ollamaFailure({ action: 'pull "m"', url: "http://127.0.0.1:11434", isPull: true }, text);
  };
}

/** What Ollama reports of a layer, through the tracker as the Ollama module does it. */
function reports({ onProgress }: PullOptions, completed: number, status = "pulling aaaaaaaaaaaa"): PullProgress {
  tracker.note({ status, ...(status.startsWith("pulling") ? { digest: DIGEST, total: SIZE, completed } : {}) });
  onProgress?.(tracker.progress);
  return tracker.progress;
}

async function untilAborted(options: PullOptions): Promise<never> {
  return await new Promise((_, reject) => {
    options.signal?.addEventListener("abort", () => reject(new CourierError("cancelled", "Cancelled")));
  });
}

const done = async (): Promise<void> => await Promise.resolve();

describe("run()", () => {
  const permanent: [what: string, text: string, code: string][] = [
    ["the model is not there", "pull model manifest: file does not exist", "not_found"],
    ["nobody is let in", "pull model manifest: unauthorized: access denied", "forbidden"],
    ["the disk is full", "write /blobs/sha256-0-partial: no space left on device", "exhausted"],
    ["the name is none", "invalid model name", "invalid"],
    ["Ollama is too old", "412: The model requires a newer version of Ollama.", "unimplemented"],
  ];

  test.each(permanent)("throws at once when %s", async (_what, text, code) => {
    attempts = [says(text)];
    const outcome = start();
    await clock.advance(0);
    expect(outcome.end).toMatchObject({ code });
    expect([began, notes]).toEqual([1, []]);
  });

  test("waits longer each time, says for what, and begins with short pauses again when it came on", async () => {
    const refused = says("pull model manifest: 503: no");
    attempts = [
      refused,
      refused,
      refused,
      async (options) => {
        reports(options, 10);
        await refused();
      },
      done,
    ];
    const outcome = start();
    await clock.advance(20_000);
    const seconds = notes.map((note) => /^waiting (\d+) s after: Ollama at .* says: .*503: no$/.exec(note)?.[1]);
    expect(seconds).toEqual(["1", "2", "4", "1"]);
    expect(retries).toEqual(notes.map((note) => note.replace(/^waiting \d+ s/, "trying again")));
    expect(recoveries).toBe(1);
    expect(outcome.end).toBe("done");
  });

  test("never waits longer than a minute, and gives up when no new byte came for its patience", async () => {
    attempts = [says("pull model manifest: dial tcp: connection refused")];
    const outcome = start(2 * HOUR_MS);
    await clock.advance(1.9 * HOUR_MS);
    expect(outcome.end).toBeUndefined();
    expect(notes.at(-1)).toStartWith("waiting 1 min after: ");
    await clock.advance(0.2 * HOUR_MS);
    expect(outcome.end).toMatchObject({ code: "unavailable" });
    expect(String(outcome.end)).toContain("given up after 2 h without a new byte");
  });

  test("has its whole patience again after each new byte, but not after bytes that came before", async () => {
    let bytes = 0;
    attempts = [
      async (options) => {
        bytes = Math.min(bytes + 10, 50);
        reports(options, bytes);
        await says("max retries exceeded: EOF")();
      },
    ];
    const outcome = start(10_000);
    await clock.advance(5000);
    expect(outcome.end).toBeUndefined();
    expect(bytes).toBe(50);
    await clock.advance(60_000);
    expect(outcome.end).toMatchObject({ code: "unavailable" });
  });

  test("fetches again after wrong bytes once, and not twice", async () => {
    attempts = [says("digest mismatch, file must be downloaded again: want sha256:0, got sha256:1")];
    const outcome = start();
    await clock.advance(10_000);
    expect(began).toBe(2);
    expect(outcome.end).toMatchObject({ code: "unavailable", hint: "The registry or the network changed bytes" });
    expect(String(outcome.end)).toContain("for the second time");
  });

  test("verifies what an interrupted attempt had finished, and fetches the model again when it is wrong", async () => {
    const other = `sha256:${"b".repeat(64)}`;
    const second = (options: PullOptions, completed: number): void => {
      tracker.note({ status: "pulling b", digest: other, total: SIZE, completed });
      options.onProgress?.(tracker.progress);
    };
    attempts = [
      async (options) => {
        reports(options, 10);
        second(options, 10);
        await says("max retries exceeded: EOF")();
      },
      async (options) => {
        reports(options, SIZE);
        second(options, SIZE / 2);
        wrong = new Set([DIGEST]);
        await Promise.resolve();
      },
      async (options) => {
        reports(options, 10);
        second(options, 10);
        wrong = new Set();
        await Promise.resolve();
      },
    ];
    const outcome = start();
    await clock.advance(10_000);
    expect(outcome.end).toBe("done");
    expect([began, deleted]).toEqual([3, ["m"]]);
    expect(notes.at(-1)).toContain("digest mismatch: the bytes of sha256:aaaaaaaaaaaa are wrong");
  });

  test("tries a few times when a layer that it needs is gone once it has ended", async () => {
    missing = [DIGEST];
    attempts = [done];
    const outcome = start();
    await clock.advance(60_000);
    expect([began, deleted]).toEqual([4, []]);
    expect(notes[0]).toBe("waiting 1 s after: sha256:aaaaaaaaaaaa was removed meanwhile");
    expect(outcome.end).toMatchObject({ code: "conflict", hint: expect.stringContaining("pull it again") });
  });

  test("joins a download that is dying without counting it, for a while", async () => {
    attempts = [...Array.from({ length: 6 }, () => says("context canceled")), done];
    const outcome = start();
    await clock.advance(5000);
    expect(outcome.end).toBe("done");
    expect(notes).toEqual([]);
  });

  test("says so when a download does not die", async () => {
    attempts = [says("context canceled")];
    start();
    await clock.advance(60_000);
    expect(notes.length).toBeGreaterThan(0);
  });

  test("tries a few times when Ollama may not write, and says what to look at", async () => {
    attempts = [says("open /blobs/sha256-0-partial-0: read-only file system")];
    const outcome = start();
    await clock.advance(60_000);
    expect(began).toBe(4);
    expect(outcome.end).toMatchObject({ code: "unavailable", hint: expect.stringContaining("cannot write") });
  });

  test("tries what nobody knows a few times", async () => {
    attempts = [says("something new")];
    const outcome = start();
    await clock.advance(60_000);
    expect([began, notes.length]).toEqual([4, 3]);
    expect(outcome.end).toMatchObject({ code: "internal" });
  });

  test("tries what nobody knows a few times again after each new byte", async () => {
    let bytes = 0;
    attempts = [
      async (options) => {
        bytes = Math.min(bytes + 10, 50);
        reports(options, bytes);
        await says("something new")();
      },
    ];
    const outcome = start();
    await clock.advance(60_000);
    expect(began).toBe(5 + 3);
    expect(outcome.end).toMatchObject({ code: "internal" });
  });

  test("throws cancelled at once, during an attempt and during a pause", async () => {
    attempts = [untilAborted];
    const outcome = start();
    await clock.advance(1000);
    controller.abort();
    await clock.advance(0);
    expect(outcome.end).toMatchObject({ code: "cancelled" });

    controller = new AbortController();
    attempts = [says("503: no")];
    const second = start();
    await clock.advance(500);
    controller.abort();
    await clock.advance(0);
    expect(second.end).toMatchObject({ code: "cancelled" });
  });
});

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

  test("closes the connection and goes on for each sixteenth of the model, unseen, but not shortly before its end", async () => {
    const beganAtBytes: number[] = [];
    attempts = [
      async (options) => {
        beganAtBytes.push(bytes);
        await fetches(options);
      },
    ];
    const outcome = start();
    await clock.advance(60_000);
    expect(outcome.end).toBe("done");
    // 1 % each 100 ms: at most once a second, not in the last 3 s.
    expect(beganAtBytes).toEqual([0, 100, 200, 300, 400, 500, 600, 700]);
    expect([notes, recoveries]).toEqual([[], 0]);
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
    const outcome = start();
    await clock.advance(200_000);
    expect(outcome.end).toBe("done");
    expect(began).toBeLessThanOrEqual(17);
  });

  test("saves what came slowly before Ollama would throw it away", async () => {
    attempts = [
      async (options) => {
        reports(options, bytes);
        for (; options.signal?.aborted !== true; bytes += 0.001) {
          await clock.sleep(60_000);
          reports(options, bytes);
        }
        throw new CourierError("cancelled", "Cancelled");
      },
    ];
    start(1000 * HOUR_MS);
    await clock.advance(HOUR_MS);
    expect(began).toBeGreaterThan(2);
  });

  test("saves nothing once a layer is whole, which only the same attempt verifies", async () => {
    attempts = [
      async (options) => {
        tracker.note({ status: "pulling b", digest: `sha256:${"b".repeat(64)}`, total: 10, completed: 1 });
        await fetches(options);
      },
    ];
    const outcome = start();
    await clock.advance(60_000);
    expect([outcome.end, began]).toEqual(["done", 1]);
  });
});
