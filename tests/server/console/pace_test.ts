// src/console/store/pace.ts: bytes over time, of as many jobs as a large fleet has, and over a reload.
import { expect, test } from "bun:test";
import { Pace } from "#src/console/store/pace.ts";
import { EXAMPLES } from "#src/server/v1/schema/examples.ts";

const RUNNING = { ...EXAMPLES.job, state: "running", ended_at: null, started_at: null } as const;

class Kept {
  readonly #items = new Map<string, string>();
  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.#items.set(key, value);
  }
}

test("of() returns all samples of 100 jobs that change in turn, and after a reload those of the last ones", () => {
  const kept = new Kept();
  const pace = new Pace(kept);
  const ids = Array.from({ length: 100 }, (_, index) => `job-${index}`);
  for (let step = 1; step <= 5; step++)
    for (const id of ids) pace.see(id, { ...RUNNING, id, completed_bytes: step * 1000 }, step * 1000);
  expect(ids.map((id) => pace.of(id).length)).toEqual(ids.map(() => 5));
  pace.save();
  const reloaded = new Pace(kept);
  expect(reloaded.of("job-99")).toEqual(pace.of("job-99"));
  expect(reloaded.of("job-0")).toEqual([]);
});
