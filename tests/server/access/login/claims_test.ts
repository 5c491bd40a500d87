// src/server/access/login/{claims,kept_answers}.ts: the names that callers get, and how much is kept.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { LIMITS } from "#src/protocol.ts";
import { callerName, claimAt } from "#src/server/access/login/claims.ts";
import { KeptAnswers } from "#src/server/access/login/introspection/kept_answers.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

describe("callerName()", () => {
  test("is the first of sub, username and email, with a prefix that no token's name has", () => {
    expect(callerName({ email: "a@x", username: "ada", sub: "7" }, null)).toBe("user:7");
    expect(callerName({ email: "a@x", username: "ada", sub: "" }, null)).toBe("user:ada");
    expect(callerName({ email: "a@x", sub: null }, null)).toBe("user:a@x");
    expect(callerName({ sub: 7 }, null)).toBe("user:7");
    expect(callerName({ sub: { a: 1 } }, null)).toBeUndefined();
    expect(callerName({ sub: "7" }, "username")).toBeUndefined();
  });

  test("cuts what is long and shows what is invisible, and keeps different names different", () => {
    const long = "x".repeat(100);
    const names = [long, `${long}y`, "a\nb", "a b", "a\u202eb", `${"x".repeat(49)}😀😀😀`].map((sub) =>
      callerName({ sub }, null),
    );
    expect(new Set(names).size).toBe(6);
    for (const name of names) {
      expect(name).toMatch(/^user:[^\n\u202e]*$/);
      expect(name?.length).toBeLessThanOrEqual(LIMITS.requesterCharacters);
      expect(name?.isWellFormed()).toBe(true);
    }
    const shown = callerName({ sub: "a\nb" }, null);
    expect(shown).toMatch(/^user:a b~[0-9a-f]{8}$/);
    expect(callerName({ sub: shown?.slice(5) }, null)).not.toBe(shown);
    expect(callerName({ sub: "a\ud800" }, null)?.isWellFormed()).toBe(true);
  });
});

describe("claimAt()", () => {
  test("looks into objects, for own fields only, and knows names with dots", () => {
    expect(claimAt({ user: { role: "admin" } }, "user.role")).toBe("admin");
    expect(claimAt({ "https://x.example/roles": ["admin"] }, "https://x.example/roles")).toEqual(["admin"]);
    expect(claimAt({ user: "admin" }, "user.role")).toBeUndefined();
    expect(claimAt({}, "constructor.name")).toBeUndefined();
  });
});

describe("KeptAnswers", () => {
  const caller = new CourierError("unauthenticated", "no");

  test("drops the oldest of more than 10,000", async () => {
    const answers = new KeptAnswers(new ManualClock());
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
    const clock = new ManualClock();
    const answers = new KeptAnswers(clock);
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

  test("asks 100 questions at a time, and keeps no failure", async () => {
    const answers = new KeptAnswers(new ManualClock());
    const answer = Promise.withResolvers<{ caller: CourierError; keptMs: number }>();
    const waiting = Array.from(
      { length: 100 },
      async (_, count) => await answers.get(`${count}`, async () => await answer.promise),
    );
    expect(await answers.get("one more", async () => ({ caller, keptMs: 0 }))).toMatchObject({ code: "unavailable" });
    answer.resolve({ caller, keptMs: 0 });
    await Promise.all(waiting);
    expect(await answers.get("one more", async () => ({ caller, keptMs: 0 }))).toBe(caller);
    expect(answers.size).toBe(0);
  });
});
