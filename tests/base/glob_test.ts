// src/base/glob: patterns for names.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { matchesGlob } from "#src/base/glob.ts";

test.each([
  ["phi4:latest", "phi4:latest", true],
  ["phi*", "phi4:latest", true],
  ["*:latest", "hf.co/user/phi4:latest", true],
  ["hf.co/*/phi?:*", "hf.co/user/phi4:latest", true],
  ["phi", "phi4", false],
  ["?hi", "hi", false],
  ["**", "", true],
  ["", "", true],
  ["[a]", "a", false],
  ["a*b*c", "aXbXbXc", true],
  ["a*b*c", "aXbXbX", false],
])("matchesGlob(%p, %p) is %p", (pattern, name, expected) => {
  expect(matchesGlob(pattern, name)).toBe(expected);
});

test("matchesGlob() agrees with a regular expression", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
  fc.assert(
    fc.property(text, fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 }), (pattern, name) => {
      const regex = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      expect(matchesGlob(pattern, name)).toBe(regex.test(name));
    }),
  );
});

test("matchesGlob() is quick where backtracking is not", () => {
  const startedMs = performance.now();
  expect(matchesGlob(`${"*a".repeat(100)}b`, "a".repeat(5_000))).toBe(false);
  expect(performance.now() - startedMs).toBeLessThan(200);
});
