// One property: however senders, agents, crashes and sweeps interleave, it ends on the share as on memory, the reference:
// one response or none for each command, each effect once, and nothing left behind in the end.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { MemoryGround, ShareGround } from "#tests/support/sites/grounds.ts";
import { AGENTS, SENDERS, type Step, World } from "#tests/support/sites/world.ts";

const HOUR_MS = 3_600_000;
/** An old pull or delete rests for 5 s before it is removed. */
const REST_MS = 6_000;
/** A reply address is kept in use each hour and given up after a day: nobody may sleep through that. */
const LEAP_MS = 20 * HOUR_MS;
/** All agents are there again, and what crashes left behind is swept: a claim goes last, after two days. */
const ENDING: readonly Step[] = [
  ...AGENTS.map((name) => ({ is: "start" as const, agent: name })),
  { is: "pass", ms: 72 * HOUR_MS },
  { is: "pass", ms: HOUR_MS },
];

const sender = fc.nat({ max: SENDERS - 1 });
const agent = fc.constantFrom(...AGENTS);
const verb = fc.constantFrom("ping", "list_models", "pull_model", "delete_model");
const oldVerb = fc.constantFrom("list_models", "pull_model", "delete_model");
/** An agent may die there while it has this one command under way. */
const death = fc.option(
  fc.record({
    method: fc.constantFrom("claim", "isUnchanged", "deleteModel", "respond", "release"),
    when: fc.constantFrom("before", "after"),
  }),
);
const ms = fc.constantFrom(25_000, 2 * HOUR_MS, 26 * HOUR_MS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ is: fc.constant("request"), sender, agent, verb, death }) },
  { weight: 4, arbitrary: fc.record({ is: fc.constant("old"), sender, verb: oldVerb, death }) },
  { weight: 4, arbitrary: fc.record({ is: fc.constantFrom("start", "stop", "kill"), agent }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constantFrom("giveUp", "replace"), sender }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant("pass"), ms }) },
);

test.each(["local", "network"] as const)(
  "agents and senders on a share watched as %s end as on memory, whatever crashes, and nothing is left",
  async (watch) => {
    const agree = fc.asyncProperty(fc.array(step, { maxLength: 12, size: "max" }), async (steps) => {
      const [share, memory] = [new World(new ShareGround(watch)), new World(new MemoryGround())];
      try {
        await memory.begin();
        await share.begin();
        for (const next of [...steps, ...ENDING].flatMap(inParts)) await takeBoth(share, memory, next, watch);
        expectGoodEnd(memory);
      } finally {
        await share.end();
        await memory.end();
      }
    });
    // A failure prints the seed and the shortest sequence: pass them here to see it again.
    await fc.assert(agree, { numRuns: watch === "local" ? 10 : 5 });
  },
  120_000,
);

/** As steps after each of which both sides have come to rest. */
function inParts(next: Step): readonly Step[] {
  if (next.is === "old") return [next, { is: "pass", ms: REST_MS }];
  if (next.is !== "pass") return [next];
  const parts = Array.from({ length: Math.ceil(next.ms / LEAP_MS) }, (_, index) => next.ms - index * LEAP_MS);
  return parts.map((leftMs) => ({ is: "pass", ms: Math.min(leftMs, LEAP_MS) }));
}

/** Both take it, and come to look alike. */
async function takeBoth(share: World, memory: World, next: Step, watch: "local" | "network"): Promise<void> {
  await memory.take(next);
  await share.take(next);
  const [looks, pauseMs] = [400, 5];
  // Without events only listings show changes, each second; with events a listing is the safety net.
  const advanceEvery = watch === "local" ? 80 : 8;
  const agree = (): boolean => !share.isBusy && Bun.deepEquals(share.view(), memory.view());
  for (let look = 1; look <= looks && !agree(); look++) {
    await Bun.sleep(pauseMs);
    if (look % advanceEvery === 0) for (const world of [memory, share]) await world.advance(1_000);
  }
  expect([next, share.view()]).toEqual([next, memory.view()]);
  for (const world of [share, memory]) world.disarm();
}

/** Every waiting sender got a response, no effect came from two agents, and no file is left. */
function expectGoodEnd(world: World): void {
  const { inboxes, replies, claims, agents } = world.view();
  expect(world.waiting).toBe(0);
  const deleted = agents.flatMap(({ deletes }) => [...new Set(deletes)]);
  expect(deleted).toEqual([...new Set(deleted)]);
  const left = [...Object.entries(inboxes), ...Object.entries(replies)].filter(([, count]) => count > 0);
  expect({ left, claims }).toEqual({ left: [], claims: 0 });
}
