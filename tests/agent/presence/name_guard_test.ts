// The guard that notices another agent with the same name, by the clock of the test.
import { beforeEach, expect, test } from "bun:test";
import { describeConflict, NameGuard } from "#src/agent/presence/name_guard.ts";
import type { StateRecord } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const ME = { agent: "gpu-1", instance: "mine", host: "here", startedAt: "2026-01-02T03:04:05.000Z" };

let clock: ManualClock;
let guard: NameGuard;
let sequence = 0;
beforeEach(() => {
  clock = new ManualClock();
  guard = new NameGuard({ now: () => clock.now() }, clock, ME);
});

/** A document under this name, published now. */
function document(fields: object): StateRecord {
  sequence += 1;
  const state = { ...sampleDocument("v2/state.json"), agent: ME.agent, status: "running", sequence, ...fields };
  return { agent: ME.agent, content: { text: JSON.stringify(state) }, publishedAtMs: clock.now() };
}

const own = { instance: ME.instance, started_at: ME.startedAt, host: ME.host };
const other = { instance: "other", started_at: "2026-01-01T00:00:00.000Z", host: "there" };

test("otherHost() is null for this agent's own document, for none, and for one that stopped", () => {
  expect(guard.otherHost(document(own))).toBeNull();
  expect(guard.otherHost(null)).toBeNull();
  expect(guard.otherHost(document({ ...other, status: "stopped" }))).toBeNull();
});

test("otherHost() names the host of another agent, and of a clone with the same instance", () => {
  expect(guard.otherHost(document(other))).toBe("there");
  expect(guard.otherHost(document({ ...own, started_at: other.started_at, host: "clone" }))).toBe("clone");
});

test("otherHost() remembers the other agent while both overwrite the document, and for 20 s after its last one", async () => {
  for (let round = 0; round < 10; round++) {
    expect(guard.otherHost(document(round % 2 === 0 ? other : own))).toBe("there");
    await clock.advance(5_000);
  }
  await clock.advance(9_000);
  expect(guard.otherHost(document(own))).toBe("there");
  await clock.advance(2_000);
  expect(guard.otherHost(document(own))).toBeNull();
});

test("otherHost() takes no notice of a document that stays the same: its agent is gone", async () => {
  const last = document(other);
  expect(guard.otherHost(last)).toBe("there");
  await clock.advance(20_000);
  expect(guard.otherHost(last)).toBeNull();
});

test("a conflict names the other machine, or this one", () => {
  const me = { agent: "gpu-1", host: "a", instance: "i", startedAt: "2026-01-02T03:04:05Z" };
  expect(describeConflict(me, "b")).toBe('Another agent is called "gpu-1": it runs on b, this one on a');
  expect(describeConflict(me, "a")).toBe('Another agent is called "gpu-1": it runs on this machine too');
});
