// src/server/access/login/claims.ts: the names that callers get.
import { describe, expect, test } from "bun:test";
import { LIMITS } from "#src/protocol.ts";
import { callerName, claimAt } from "#src/server/access/login/claims.ts";

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
