// An agent killed with SIGKILL at some points of each command and started again. All of them: tests/long.
import { expect, test } from "bun:test";
import { runMatrix } from "./crash_matrix.ts";

test("killed at a point of a command and started again, the agent gives one answer and has one effect", async () => {
  const { faults, text } = await runMatrix((points) => points.filter((_, number) => number % 6 === 1));
  expect(faults).toEqual([]);
  // Columns of different lengths, so that the points differ: 20 of 104.
  expect(text.match(/\bok\b/g)?.length).toBe(20);
}, 60_000);
