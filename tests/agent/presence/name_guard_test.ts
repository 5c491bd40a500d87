// The guard of the agent's name while it runs, by the clock of the test: a second agent, and documents that anybody wrote.
import { beforeEach, describe, expect, test } from "bun:test";
import { NameGuard } from "#src/agent/presence/name_guard.ts";
import { describeConflict, type OtherAgent } from "#src/agent/presence/name_wait.ts";
import { silentLog } from "#src/base/log.ts";
import type { StateRecord } from "#src/transport.ts";
import { rawKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";
import { testKey } from "#tests/trust/test_key.ts";

const ME = { agent: "gpu-1", instance: "mine", host: "here", startedAt: "2026-01-02T03:04:05.000Z" };
const [KEY, OTHER_KEY] = [testKey(3), testKey(4)];
const BOOT = 5;

let clock: ManualClock;
let guard: NameGuard;
let condition: { foreignStates: number };
let warnings: string[];
/** The fresh document under the name when the guard looks again after an interruption. */
let fresh: OtherAgent | null;
/** As `fresh`, if a key signed it. */
let freshSigned: OtherAgent | null;
let sequence = 0;
beforeEach(() => {
  clock = new ManualClock();
  condition = { foreignStates: 0 };
  warnings = [];
  fresh = null;
  freshSigned = null;
  guard = guardWith(KEY);
});

function guardWith(key: typeof KEY | null): NameGuard {
  return new NameGuard({
    identity: ME,
    key,
    document: { after: { boot: BOOT, sequence: 0 } },
    wait: {
      freshOther: async () => await Promise.resolve(fresh),
      freshSigned: async () => await Promise.resolve(freshSigned),
    },
    condition,
    transport: { now: () => clock.now() },
    clock,
    log: { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) },
  });
}

/** A document under this name, published now. @param key null: it is not signed */
function document(fields: object, key: typeof KEY | null = KEY): StateRecord {
  sequence += 1;
  const about = { agent: ME.agent, status: "running", sequence, published_at_ms: Math.round(clock.now()) };
  const keyField = key === null ? {} : { key: rawKey(key) };
  const state = { ...sampleDocument("v2/state.json"), ...about, ...keyField, ...fields };
  const text = JSON.stringify(state);
  const signed = key === null ? text : signDocument("state", text, key);
  return { agent: ME.agent, content: { text: signed }, publishedAtMs: clock.now() };
}

const own = { instance: ME.instance, started_at: ME.startedAt, host: ME.host, boot: BOOT };
const other = { instance: "other", started_at: "2026-01-01T00:00:00.000Z", host: "there", boot: 1 };

/** A document that this agent's key signed 20 s ago. */
function recorded(fields: object): () => StateRecord {
  return () => document({ published_at_ms: Math.round(clock.now()) - 20_000, ...fields });
}

const hostOf = (record: StateRecord | null): string | null => guard.judge(record).otherHost;

/** Publishes every 5 s. */
async function publishFor(durationMs: number): Promise<void> {
  guard.published();
  for (let atMs = 0; atMs < durationMs; atMs += 5000) {
    await clock.advance(5000);
    guard.published();
  }
}

describe("before it holds its name, judge()", () => {
  beforeEach(() => guard.published());

  test("finds no other agent in this agent's own document, in none, and in one that stopped", () => {
    expect(hostOf(document(own))).toBeNull();
    expect(hostOf(null)).toBeNull();
    expect(hostOf(document({ ...other, status: "stopped" }, OTHER_KEY))).toBeNull();
  });

  test("names the host of another agent, and of a clone with the same instance", () => {
    expect(hostOf(document(other, OTHER_KEY))).toBe("there");
    expect(hostOf(document({ ...own, started_at: other.started_at, host: "clone" }))).toBe("clone");
    expect([condition.foreignStates, warnings]).toEqual([0, []]);
  });

  test("remembers the other agent while both overwrite the document, and for 20 s after its last one", async () => {
    for (let round = 0; round < 10; round++) {
      expect(hostOf(round % 2 === 0 ? document(other, null) : document(own))).toBe("there");
      await publishFor(5_000);
    }
    await publishFor(5_000);
    await clock.advance(4_000);
    expect(hostOf(document(own))).toBe("there");
    await clock.advance(2_000);
    expect(hostOf(document(own))).toBeNull();
  });

  test("is not led by recordings of its own documents", () => {
    guard.judge(document(own));
    for (const make of [() => document({ ...own, sequence: 0 }), recorded({ ...other, boot: 9 })])
      expect(guard.judge(make())).toEqual({ otherHost: null, isForeign: true });
    expect(condition.foreignStates).toBe(2);
  });

  test("takes no notice of a document that stays the same: its agent is gone", async () => {
    const last = document(other, null);
    expect(hostOf(last)).toBe("there");
    await clock.advance(20_000);
    expect(hostOf(last)).toBeNull();
  });
});

describe("while it holds its name, judge()", () => {
  beforeEach(async () => await publishFor(20_000));

  test.each([
    ["that is not signed", () => document(other, null)],
    ["of another key", () => document(other, OTHER_KEY)],
    ["that has its instance and start, and is not signed", () => document(own, null)],
    ["that has its instance and start, and another key", () => document(own, OTHER_KEY)],
    ["that says it has stopped", () => document({ ...own, status: "stopped" }, null)],
    ["of its key before a reinstallation", recorded({ ...other, boot: 9 })],
    ["of a start that is no longer counted", recorded({ ...own, boot: 9, started_at: other.started_at })],
    ["that another key signed before", () => document({ ...other, published_at_ms: 1 }, OTHER_KEY)],
    ["of an earlier start, which somebody kept", () => document({ ...own, boot: 4, started_at: other.started_at })],
  ])("is not led by a document %s", (_, make) => {
    expect(guard.judge(make())).toEqual({ otherHost: null, isForeign: true });
    expect([condition.foreignStates, warnings.length]).toEqual([1, 1]);
  });

  test.each([
    ["a clone that started after it", { ...own, boot: 6, started_at: other.started_at, host: "clone" }],
    ["a clone that started as often", { ...own, started_at: other.started_at, host: "clone" }],
    ["a clone with another instance", { ...own, boot: 1, instance: "other", host: "clone" }],
  ])("finds a conflict with %s: it has the same key", (_, fields) => {
    expect(guard.judge(document(fields))).toEqual({ otherHost: "clone", isForeign: false });
    expect(condition.foreignStates).toBe(0);
  });

  test("counts each foreign document once, and logs a series of them once", async () => {
    for (let round = 0; round < 60; round++) {
      const forged = document(other, null);
      expect(guard.judge(forged)).toEqual({ otherHost: null, isForeign: true });
      expect(guard.judge(forged).isForeign).toBe(true);
      guard.published();
      expect([guard.judge(document(own)).isForeign, guard.isContested]).toEqual([false, true]);
      await clock.advance(1000);
    }
    expect([condition.foreignStates, warnings.length]).toEqual([60, 1]);
    await publishFor(20_000);
    expect(guard.isContested).toBe(false);
    guard.judge(document(other, null));
    expect(warnings).toHaveLength(2);
  });

  test("knows its own document again if somebody publishes one from before the last look", async () => {
    const [first, second] = [document(own), document(own)];
    expect([guard.judge(second).isForeign, guard.judge(second).isForeign]).toEqual([false, false]);
    expect(guard.judge(first)).toEqual({ otherHost: null, isForeign: true });
    expect([guard.judge(second).isForeign, condition.foreignStates]).toEqual([false, 1]);
    expect(guard.judge(document({ ...own, boot: BOOT + 1, sequence: 1 })).isForeign).toBe(false);
    expect(guard.judge(second).isForeign).toBe(true);
  });

  test("takes no notice of what is no state document", () => {
    for (const text of ["", "{", '{"version":2}']) {
      const record = { agent: ME.agent, content: { text }, publishedAtMs: clock.now() };
      expect(guard.judge(record)).toEqual({ otherHost: null, isForeign: false });
    }
  });

  test("holds it no longer after a conflict with a clone, until it has published for 20 s without one", async () => {
    expect(hostOf(document({ ...own, boot: 6, started_at: other.started_at, host: "clone" }))).toBe("clone");
    await publishFor(20_000);
    expect(hostOf(document(own))).toBeNull();
    expect(hostOf(document(other, null))).toBe("there");
  });
});

describe("after an interruption of 20 s, mayPublish()", () => {
  const someone: OtherAgent = { ...other, version: 2, sequence: 1, status: "running" };
  beforeEach(async () => await publishFor(20_000));

  test("is true without a look while there was none", async () => {
    fresh = someone;
    await clock.advance(19_999);
    expect([await guard.mayPublish(), guard.mustWait]).toEqual([true, false]);
  });

  test("is false while another agent has the name, until resume()", async () => {
    freshSigned = someone;
    await clock.advance(20_000);
    expect([await guard.mayPublish(), guard.mustWait]).toEqual([false, true]);
    freshSigned = null;
    expect(await guard.mayPublish()).toBe(false);
    guard.resume();
    expect([await guard.mayPublish(), guard.mustWait]).toEqual([true, false]);
    guard.published();
    expect(hostOf(document(other, null))).toBe("there");
  });

  test("is true when no key signed a document meanwhile, and the agent holds its name on", async () => {
    fresh = someone;
    await clock.advance(25_000);
    expect(guard.judge(document(other, null))).toEqual({ otherHost: null, isForeign: true });
    expect([await guard.mayPublish(), guard.mustWait]).toEqual([true, false]);
    guard.published();
    for (let second = 0; second < 300; second++) {
      expect(guard.judge(document(other, null))).toEqual({ otherHost: null, isForeign: true });
      await clock.advance(1000);
      if (second % 5 === 4) guard.published();
    }
  });

  test("looks again each time until it has published: a second agent may take the name until then", async () => {
    await clock.advance(20_000);
    expect(await guard.mayPublish()).toBe(true);
    freshSigned = someone;
    expect(await guard.mayPublish()).toBe(false);
  });

  test("loses its name to an agent whose key signed the document meanwhile", async () => {
    await clock.advance(20_000);
    expect(hostOf(document(other, OTHER_KEY))).toBe("there");
    fresh = someone;
    expect([await guard.mayPublish(), guard.mustWait]).toEqual([false, true]);
  });

  test("is false for an agent without a key while a document is fresh, and true later, when it has yet to hold its name", async () => {
    guard = guardWith(null);
    await publishFor(20_000);
    await clock.advance(20_000);
    expect(await guard.mayPublish()).toBe(true);
    guard.published();
    expect(hostOf(document(other, null))).toBe("there");
    await clock.advance(20_000);
    fresh = someone;
    expect(await guard.mayPublish()).toBe(false);
  });

  test("notices also one during which the machine was suspended, and its monotonic clock stood still", async () => {
    freshSigned = someone;
    const wallMs = clock.now() + 60_000;
    clock.now = () => wallMs;
    expect([await guard.mayPublish(), guard.mustWait]).toEqual([false, true]);
  });
});

test("a conflict names the other machine, or this one", () => {
  const me = { agent: "gpu-1", host: "a", instance: "i", startedAt: "2026-01-02T03:04:05Z" };
  expect(describeConflict(me, "b")).toBe('Another agent is called "gpu-1": it runs on b, this one on a');
  expect(describeConflict(me, "a")).toBe('Another agent is called "gpu-1": it runs on this machine too');
});
