// Every point of every command: an agent killed there with SIGKILL and started again.
import { expect, test } from "bun:test";
import { runMatrix } from "./matrix.ts";
import { openShareWire } from "./share_wire.ts";

test("killed at any point of any command and started again, the agent gives one answer and has one effect", async () => {
  const { faults, text } = await runMatrix(openShareWire, [1, 2], (points) => points);
  process.stderr.write(`${text}\n`);
  expect(faults).toEqual([]);
  expect(text.match(/\bok\b/g)?.length).toBe(124);
}, 120_000);
