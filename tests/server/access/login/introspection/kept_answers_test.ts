// src/server/access/login/introspection/kept_answers.ts: how much is kept, and what a flood of wrong tokens does to others.
import { beforeEach, describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { Outage } from "#src/base/outage.ts";
import { TRUSTED_CALLER } from "#src/server/access/caller.ts";
import { type Answer, KeptAnswers } from "#src/server/access/login/introspection/kept_answers.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { ListLog } from "../harness.ts";

const FULL = "Too many new tokens at the same time";
const caller = new CourierError("unauthenticated", "no");
const failed: Answer = { caller, keptMs: 0 };
const yes: Answer = { caller: TRUSTED_CALLER, keptMs: 30_000 };

let clock: ManualClock;
let log: ListLog;
let answers: KeptAnswers;

beforeEach(() => {
  clock = new ManualClock();
  log = new ListLog();
  answers = new KeptAnswers({ clock, trouble: new Outage({ clock, log, subject: "The platform's login" }) });
});

/** Questions about the tokens `name-0`, `name-1`, … that have no answer until `end()`. */
function hold(name: string, count: number) {
  const answer = Promise.withResolvers<Answer>();
  const waiting = Array.from(
    { length: count },
    async (_, index) => await answers.get(`${name}-${index}`, async () => await answer.promise),
  );
  return {
    async end(): Promise<void> {
      answer.resolve(failed);
      await Promise.all(waiting);
    },
  };
}

describe("KeptAnswers", () => {
  test("drops the oldest of more than 10,000", async () => {
    let asked = 0;
    const question = async () => {
      asked += 1;
      return { caller, keptMs: 5_000 };
    };
    for (let count = 0; count <= 10_000; count++) await answers.get(`token-${count}`, question);
    expect([answers.size, asked]).toEqual([10_000, 10_001]);
    await answers.get("token-1", question);
    expect(asked).toBe(10_001);
    await answers.get("token-0", question);
    expect(asked).toBe(10_002);
  });

  test("keeps an answer from its question on, however long that took", async () => {
    let asked = 0;
    const slow = async () => {
      asked += 1;
      await clock.advance(2_000);
      return { caller, keptMs: 5_000 };
    };
    await answers.get("token", slow);
    await clock.advance(2_999);
    await answers.get("token", slow);
    expect(asked).toBe(1);
    await clock.advance(1);
    await answers.get("token", slow);
    expect(asked).toBe(2);
  });

  test("asks 50 questions at a time about unknown tokens, and keeps no failure", async () => {
    const flood = hold("flood", 50);
    expect(await answers.get("one more", async () => failed)).toMatchObject({ code: "unavailable", message: FULL });
    await flood.end();
    expect(await answers.get("one more", async () => failed)).toBe(caller);
    expect(answers.size).toBe(0);
  });

  test("a flood of wrong tokens holds up nobody who was let in during the last 10 minutes", async () => {
    for (const token of ["ada", "eve"]) await answers.get(token, async () => yes);
    await clock.advance(599_999);
    const flood = hold("flood", 50);
    expect(await answers.get("ada", async () => yes)).toBe(yes.caller);
    await clock.advance(1);
    expect(await answers.get("eve", async () => yes)).toMatchObject({ code: "unavailable", message: FULL });
    await flood.end();
  });

  test("a token that is refused is no longer known", async () => {
    await answers.get("ada", async () => yes);
    await clock.advance(30_000);
    await answers.get("ada", async () => ({ caller, keptMs: 5_000 }));
    await clock.advance(5_000);
    const flood = hold("flood", 50);
    expect(await answers.get("ada", async () => yes)).toMatchObject({ message: FULL });
    await flood.end();
  });

  test("asks 100 questions at a time in all", async () => {
    for (let count = 0; count < 101; count++) await answers.get(`known-${count}`, async () => yes);
    await clock.advance(30_000);
    const known = hold("known", 100);
    expect(await answers.get("known-100", async () => yes)).toMatchObject({ message: FULL });
    await known.end();
  });

  test("wrong tokens push out no right one, however many come", async () => {
    await answers.get("ada", async () => yes);
    for (let count = 0; count <= 10_000; count++)
      await answers.get(`wrong-${count}`, async () => ({ caller, keptMs: 5_000 }));
    expect(answers.size).toBe(10_001);
    expect(await answers.get("ada", async () => failed)).toBe(yes.caller);
  });

  test("the log has a flood once, and its end after a minute without one", async () => {
    for (let round = 0; round < 20; round++) {
      const flood = hold(`flood-${round}`, 50);
      await answers.get("one more", async () => failed);
      await flood.end();
      await clock.advance(100);
    }
    expect(log.text.match(/login unavailable/g)).toHaveLength(1);
    expect(log.text).toContain(FULL);
    await clock.advance(59_800);
    await answers.get("ada", async () => yes);
    expect(log.text).not.toContain("available again");
    await clock.advance(60_000);
    await answers.get("ada", async () => yes);
    expect(log.text).toContain("available again");
  });
});
