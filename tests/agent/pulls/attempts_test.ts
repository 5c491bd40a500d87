// The attempts at one pull: which failures are retried, how long, and with which events.
import { beforeEach, describe, expect, test } from "bun:test";
import { ollamaFailure } from "#src/agent/ollama/meanings.ts";
import type { PullOptions } from "#src/agent/ollama/ollama.ts";
import { type PullProgress, PullTracker } from "#src/agent/ollama/pull_tracker.ts";
import { attempts as attemptsAt } from "#src/agent/pulls/attempts.ts";
import { asCourierError, CourierError } from "#src/base/errors.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const HOUR_MS = 3_600_000;
const DIGEST = `sha256:${"a".repeat(64)}`;
const SIZE = 1000;
const MODEL = "hub.typo/n/m:latest";

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
/** Registry hosts that do not exist. */
let missingHosts: Set<string>;
/** How long the reader waits for a slot after each pause. */
let queueMs: number;

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
  missingHosts = new Set();
  queueMs = 0;
});

interface Limits {
  readonly pullMs?: number;
  readonly registryMs?: number;
}

/** Starts the pull, and reads its events as a job does. @returns how it ended, undefined while it has not */
function start({ pullMs = 24 * HOUR_MS, registryMs = 1000 * HOUR_MS }: Limits = {}) {
  const outcome: { end?: "done" | CourierError } = {};
  const events = attemptsAt({
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
    hostNames: { isMissing: async (host) => await Promise.resolve(missingHosts.has(host)) },
    clock,
    model: MODEL,
    tracker,
    limits: { pullTimeoutMs: pullMs, registryTimeoutMs: registryMs, saveIntervalMs: 0 },
    signal: controller.signal,
  });
  const { signal } = controller;
  void (async () => {
    try {
      for await (const event of events) {
        if (event.kind === "recovered") recoveries += 1;
        if (event.kind === "retrying") retries.push(event.reason);
        if (event.kind !== "waiting") continue;
        notes.push(`waiting ${Math.round(event.pauseMs / 1000)} s after: ${event.reason}`);
        await clock.sleep(event.pauseMs + queueMs, signal);
      }
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

describe("attempts()", () => {
  const permanent: [what: string, text: string, code: string][] = [
    ["the model is not there", "pull model manifest: file does not exist", "not_found"],
    ["nobody is let in", "pull model manifest: unauthorized: access denied", "forbidden"],
    ["the disk is full", "write /blobs/sha256-0-partial: no space left on device", "exhausted"],
    ["the name is invalid", "invalid model name", "invalid"],
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
    const seconds = notes.map((note) => /^waiting (\d+) s after: Ollama says: .*status 503$/.exec(note)?.[1]);
    expect(seconds).toEqual(["1", "2", "4", "1"]);
    expect(retries).toEqual(notes.map((note) => note.replace(/^waiting \d+ s after: /, "")));
    expect(recoveries).toBe(1);
    expect(outcome.end).toBe("done");
  });

  test("never waits longer than a minute, and gives up when its time without a new byte is over", async () => {
    attempts = [says("pull model manifest: dial tcp: connection refused")];
    const outcome = start({ pullMs: 2 * HOUR_MS });
    await clock.advance(1.9 * HOUR_MS);
    expect(outcome.end).toBeUndefined();
    expect(notes.at(-1)).toStartWith("waiting 60 s after: ");
    await clock.advance(0.2 * HOUR_MS);
    expect(outcome.end).toMatchObject({ code: "unavailable" });
    expect(String(outcome.end)).toContain("given up after 2 h without a manifest");
  });

  test("has its whole time again after each new byte, but not after bytes that came before", async () => {
    let bytes = 0;
    attempts = [
      async (options) => {
        bytes = Math.min(bytes + 10, 50);
        reports(options, bytes);
        await says("max retries exceeded: EOF")();
      },
    ];
    const outcome = start({ pullMs: 10_000 });
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
    expect([began, deleted]).toEqual([3, [MODEL]]);
    expect(notes.at(-1)).toContain("digest mismatch: the bytes of sha256:aaaaaaaaaaaa are wrong");
  });

  test("tries a few times when a layer that it needs is gone once it has ended", async () => {
    missing = [DIGEST];
    attempts = [done];
    const outcome = start();
    await clock.advance(60_000);
    expect([began, deleted]).toEqual([4, []]);
    expect(notes[0]).toBe("waiting 1 s after: sha256:aaaaaaaaaaaa was removed during the pull");
    expect(outcome.end).toMatchObject({ code: "conflict", hint: expect.stringContaining("pull it again") });
  });

  test("joins a download that is dying without counting it, for a while", async () => {
    attempts = [...Array.from({ length: 6 }, () => says("context canceled")), done];
    const outcome = start();
    await clock.advance(5000);
    expect(outcome.end).toBe("done");
    expect(notes).toEqual([]);
  });

  test("reports a download that does not die", async () => {
    attempts = [says("context canceled")];
    start();
    await clock.advance(60_000);
    expect(notes.length).toBeGreaterThan(0);
  });

  test("tries a few times when Ollama may not write, with a hint", async () => {
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

describe("a registry that never sends a manifest", () => {
  test("is given up after its own time, however long the pull may take", async () => {
    attempts = [says("pull model manifest: 503: no")];
    const outcome = start({ registryMs: HOUR_MS });
    await clock.advance(HOUR_MS + 60_000);
    expect(String(outcome.end)).toContain("given up after 1 h without a manifest");
  });

  test.each([
    ["does not exist", ["hub.typo"], "10 min: this host name does not exist"],
    ["may exist", [], undefined],
  ])("is given up after 10 minutes only when its host name does not exist: it %s", async (_what, hosts, text) => {
    missingHosts = new Set(hosts);
    attempts = [says('Get "https://hub.typo/v2/": dial tcp: lookup hub.typo: no such host')];
    const outcome = start();
    await clock.advance(590_000);
    expect(outcome.end).toBeUndefined();
    await clock.advance(90_000);
    if (text === undefined) expect(outcome.end).toBeUndefined();
    else expect(String(outcome.end)).toContain(text);
  });

  test("is not given up for time in which the pull waited for a slot", async () => {
    attempts = [says("pull model manifest: 503: no")];
    queueMs = 2 * HOUR_MS;
    const outcome = start({ registryMs: HOUR_MS });
    await clock.advance(20 * HOUR_MS);
    expect(outcome.end).toBeUndefined();
  });
});
