// docs/operations.md explains every check that doctor makes, and no other.
import { expect, test } from "bun:test";
import { readSources } from "#tests/support/architecture/sources.ts";
import { firstCode, readDocuments } from "./markdown.ts";

/** Of the memory transport, which no operator meets. */
const UNDOCUMENTED = ["memory"];

test("Doctor has a row for each check", async () => {
  const operations = (await readDocuments()).find(({ path }) => path === "docs/operations.md");
  const rows = operations?.section("Doctor").rows.map(([cell]) => firstCode(cell)) ?? [];
  const texts = (await readSources("src/**/*.ts")).map(({ text }) => text);
  const made = texts.flatMap((text) => [...text.matchAll(/\babout\(\s*"(\w+)"/g)].map(([, name = ""]) => name));
  const trials = texts.flatMap((text) => /^const TRIALS = \[(.*)\]/m.exec(text)?.[1]?.match(/\w+/g) ?? []);
  const checks = new Set([...made, ...trials].filter((name) => !UNDOCUMENTED.includes(name)));
  // The checks whose name a function gets as a parameter.
  for (const name of ["inbox", "leftovers"]) expect([...checks]).toContain(name);
  expect(rows.filter((name) => name !== "").toSorted()).toEqual([...checks].toSorted());
});
