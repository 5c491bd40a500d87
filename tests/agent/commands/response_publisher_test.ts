// When the agent removes the commands that it has answered.
import { expect, test } from "bun:test";
import { Activity } from "#src/agent/commands/activity.ts";
import { ResponsePublisher } from "#src/agent/commands/response_publisher.ts";
import { Retries } from "#src/agent/commands/transport_retries.ts";
import { silentLog } from "#src/base/log.ts";
import type { Delivery } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const DAY_MS = 86_400_000;

test.each([
  ["that is new, when it is 5 s old", 0, 5_000],
  ["that is 3 s old, when it is 5 s old", -3_000, 2_000],
  ["of a clock that is 3 days ahead, 5 s later", 3 * DAY_MS, 5_000],
])("finish() removes a version 1 pull %s", async (_, offsetMs, removedAfterMs) => {
  const clock = new ManualClock();
  const released: string[] = [];
  const transport = {
    now: () => clock.now(),
    release: async ({ id }: Delivery) => await Promise.resolve(released.push(id) > 0),
    respond: async () => await Promise.resolve(true),
    respondedAtMs: async () => await Promise.resolve(null),
  };
  const publisher = new ResponsePublisher({
    agent: "gpu-1",
    transport,
    activity: new Activity(clock),
    retries: new Retries(clock),
    clock,
    log: silentLog,
  });
  const pull: Delivery = {
    inbox: "shared",
    id: "pull_1",
    key: "pull_1~0",
    content: { text: "{}" },
    sentAtMs: clock.now() + offsetMs,
  };
  const finished = publisher.finish(pull, "pull_model");
  await clock.advance(removedAfterMs - 1);
  expect(released).toEqual([]);
  await clock.advance(1);
  expect(released).toEqual(["pull_1"]);
  publisher.stopResting();
  await finished;
});
