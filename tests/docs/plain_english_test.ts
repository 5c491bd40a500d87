// The check of phrases in `npm run check` finds what it should, and passes what is plain.
import { expect, test } from "bun:test";
import { findPhrases } from "../../scripts/check/plain_english.ts";

// Assembled here, so that the check does not find them in this file.
test.each([
  ["// The caller is to", "ld of it.", "reported"],
  ["  // Wh", "at is in memory.", "a subject"],
  ["That is tried an", "ew.", "again"],
  ["it ha", "s none.", "no such"],
  ["the col", "our of a row", "color"],
])("finds %s%s", (begin, end, instead) => {
  const found = findPhrases(`${begin}${end}`);
  expect(found.length).toBeGreaterThan(0);
  expect(found.join()).toContain(instead);
});

test.each([
  ["The agent retries after 60 s."],
  ["--pull-patience is the former name of --pull-timeout"],
  ["No such model"],
  ["// What is in memory?"],
])("passes %s", (line) => {
  expect(findPhrases(line)).toEqual([]);
});
