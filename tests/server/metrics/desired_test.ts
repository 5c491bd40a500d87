// The metrics of --desired.
import { expect, test } from "bun:test";
import { type DesiredDocument, NOTHING_DESIRED } from "#src/documents/models/desired.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const DRIFT = { agent: "gpu-1", since: "2026-01-01T00:00:00.000Z", job: null, reason: null };
const WAITING: DesiredDocument = { ...NOTHING_DESIRED, file: "/etc/fleet.yaml", status: "waiting", problem: "no file" };

async function desiredLines(desired: DesiredDocument): Promise<string[]> {
  await using server = await openServer({ desired });
  const text = await (await server.request("GET", "/metrics")).text();
  return text.split("\n").filter((line) => line.startsWith("gpu_courier_desired_"));
}

test("/metrics counts drift by what would change it, and boxes that are away", async () => {
  const drift: DesiredDocument["drift"] = [
    { ...DRIFT, model: "a:1b", action: "pull" },
    { ...DRIFT, model: "b:1b", action: "pull" },
    { ...DRIFT, model: "c:1b", action: "delete" },
  ];
  const checked_at = "2026-01-01T00:00:10.000Z";
  const found = await desiredLines({
    ...WAITING,
    status: "active",
    problem: null,
    checked_at,
    drift,
    unknown: ["gpu-2"],
  });
  expect(found.toSorted()).toEqual([
    "gpu_courier_desired_compared_timestamp_seconds 1767225610",
    'gpu_courier_desired_drift{action="delete"} 1',
    'gpu_courier_desired_drift{action="pull"} 2',
    'gpu_courier_desired_drift{action="update"} 0',
    "gpu_courier_desired_file_problem 0",
    "gpu_courier_desired_unknown_boxes 1",
  ]);
});

test("/metrics shows only the problem of a file that never was in force, and nothing without --desired", async () => {
  expect(await desiredLines(WAITING)).toEqual(["gpu_courier_desired_file_problem 1"]);
  expect(await desiredLines(NOTHING_DESIRED)).toEqual([]);
});
