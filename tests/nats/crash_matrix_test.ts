// An agent on NATS that is killed at a point of a command and started again, as tests/long/crashes has it on a share.
// NATS_FAULTS=long takes every point.
import { expect, test } from "bun:test";
import { runMatrix } from "#tests/long/crashes/matrix.ts";
import { openNatsWire } from "./faults/crash_wire.ts";

const isLong = process.env["NATS_FAULTS"] === "long";
const ALL = 72;
/** Where the next start knows of it from its ledger only, or from its response. */
const SHORT = ["after:receive", "after:ledger.start", "before:transport.respond", "after:transport.respond"];
const POINTS = isLong ? ALL : 18;

test(`killed at ${POINTS} points of its commands and started again, an agent gives one answer and has one effect`, async () => {
  const { faults, text } = await runMatrix(openNatsWire, [2], (points) =>
    isLong ? points : points.filter((point) => SHORT.includes(point)),
  );
  process.stderr.write(`${text}\n`);
  expect(faults).toEqual([]);
  expect(text.match(/\bok\b/g)?.length).toBe(POINTS);
}, 180_000);
