// src/console/store/active_jobs.ts: the order of active jobs.
import { expect, test } from "bun:test";
import { activeOf } from "#src/console/store/active_jobs.ts";
import { EXAMPLES } from "#src/server/v1/schema/examples.ts";

test("activeOf() has running pulls first, the newest of them first, then queued ones in the order of their turns", () => {
  const jobs = (
    [
      ["queued last", "queued"],
      ["queued first", "queued"],
      ["running", "running"],
      ["ended", "failed"],
      ["verifying", "verifying"],
    ] as const
  ).map(([id, state]) => ({ ...EXAMPLES.job, id, state }));
  expect(activeOf(jobs).map(({ id }) => id)).toEqual(["running", "verifying", "queued first", "queued last"]);
});
