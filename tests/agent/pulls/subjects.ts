// Suites about pulls run with the simulated Ollama, and with a real one when OLLAMA_TEST_URL names it.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout } from "bun:test";
import { isEnded, type Job } from "#src/protocol.ts";
import { PullSite, realSubject, type Subject, simulatedSubject } from "#tests/support/sites/pull_site.ts";

export const MB = 1_000_000;
export const SIZE = 20 * MB;

/** @param suite gets a function that returns the current test's site */
export function describePulls(suite: (site: () => PullSite) => void): void {
  describe("pulls, simulated", () => withSites(simulatedSubject, suite));
  const url = process.env["OLLAMA_TEST_URL"];
  if (url !== undefined) describe(`pulls, real at ${url}`, () => withSites(async () => await realSubject(url), suite));
}

function withSites(open: () => Promise<Subject>, suite: (site: () => PullSite) => void): void {
  let site: PullSite;
  beforeEach(async () => {
    site = await PullSite.open(await open());
    setDefaultTimeout(site.subject.limitMs + 10_000);
  });
  afterEach(async () => await site.close());
  suite(() => site);
}

/** Bytes only grow, over reconnects too, and are never more than the whole. */
export function expectSteady(shown: readonly Job[]): void {
  const bytes = shown.map(({ completed_bytes }) => completed_bytes);
  expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
  expect(shown.every(({ completed_bytes, total_bytes }) => completed_bytes <= (total_bytes ?? Infinity))).toBe(true);
  expect(shown.filter((job) => isEnded(job)).length).toBeGreaterThan(0);
}

/** One row of the table that is also in docs/operations.md. */
export function report(cells: readonly unknown[]): void {
  process.stderr.write(`| ${cells.join(" | ")} |\n`);
}
