// The simulated boxes of a large fleet: their documents are valid, and change as those of real boxes do.
import { describe, expect, test } from "bun:test";
import { FleetBox } from "#sim/fleet/box.ts";
import { CATALOG } from "#sim/fleet/catalog.ts";
import { LIMITS, parseState, type State } from "#src/protocol.ts";

const RENEWALS = 60;
const START_MS = Date.parse("2026-11-23T22:00:00Z");

/** The documents of one box as a reader sees them, one each 5 s. */
function documentsOf(index: number): State[] {
  const box = new FleetBox(index, START_MS);
  return Array.from({ length: RENEWALS }, (_, renewal) => {
    const text = JSON.stringify(box.next(START_MS + renewal * LIMITS.stateIntervalMs));
    const state = parseState(box.agent, text)?.state;
    if (state === undefined || state === null) throw new Error(`Not a state document: ${text}`);
    // A reader that skips a list's entry would hide that it is invalid.
    expect(state).toEqual(JSON.parse(text));
    return state;
  });
}

/** The part that stays while nothing happens on the box. */
function lasting({ models, jobs }: State): string {
  return JSON.stringify([models, jobs.map(({ id, state }) => [id, state])]);
}

describe("FleetBox", () => {
  test.each([0, 1, 9, 10, 20, 9999])("next() makes valid documents of box %d", (index) => {
    const documents = documentsOf(index);
    for (const { models, model_count, jobs, job_count } of documents) {
      expect(model_count).toBe(models?.length ?? -1);
      expect(new Set(models?.map(({ name, digest }) => `${name} ${digest}`)).size).toBe(model_count ?? -1);
      expect(model_count).toBeOneOf([5, 6]);
      expect(job_count).toBe(jobs.length);
      const [least, most] = index % 10 === 0 ? [1, 2] : [0, 0];
      expect(jobs.length).toBeWithin(least, most + 1);
    }
  });

  test("next() renews the times each time, and changes a model or a job every twentieth time", () => {
    for (const index of [0, 7]) {
      const documents = documentsOf(index);
      expect(new Set(documents.map(({ timestamp }) => timestamp)).size).toBe(RENEWALS);
      expect(documents.map(({ sequence }) => sequence)).toEqual(documents.map((_, renewal) => renewal + 1));
      const states = documents.map(lasting);
      const changes = states.filter((state, renewal) => renewal > 0 && state !== states[renewal - 1]);
      expect(changes.length).toBe(RENEWALS / 20);
    }
  });

  test("work() moves a pull on between renewals, and starts the next one at its end", () => {
    const box = new FleetBox(10, START_MS);
    const documents = Array.from({ length: 600 }, (_, step) => structuredClone(box.work(START_MS + step * 500, 500)));
    const [first, second] = documents.map(({ jobs }) => jobs.at(-1));
    expect((second?.completed_bytes ?? 0) - (first?.completed_bytes ?? 0)).toBe(20_000_000);
    expect(documents.filter((state) => parseState(box.agent, JSON.stringify(state))?.state == null)).toEqual([]);
    expect(documents.every(({ jobs }) => jobs.at(-1)?.state === "running")).toBe(true);
    expect(new Set(documents.map(({ jobs }) => jobs.at(-1)?.id)).size).toBeGreaterThan(1);
    expect(documents.at(-1)?.jobs.at(-2)?.state).toBe("succeeded");
  });

  test("next() moves a pull on until it ends and its model is installed", () => {
    const documents = documentsOf(10);
    const pulling = documents.filter(({ jobs }) => jobs.at(-1)?.state === "running");
    const [first, second] = pulling.map(({ jobs }) => jobs.at(-1)?.completed_bytes ?? 0);
    expect(second).toBeGreaterThan(first ?? Number.NaN);
    const ended = documents.find(({ jobs }) => jobs.at(-1)?.state === "succeeded");
    expect(ended?.models?.[0]?.name).toBe(ended?.jobs.at(-1)?.model ?? "");
  });
});

test("the catalog has 200 different models", () => {
  expect(new Set(CATALOG.map(({ name, digest }) => `${name} ${digest}`)).size).toBe(200);
  expect(new Set(CATALOG.map(({ name }) => name)).size).toBe(180);
});
