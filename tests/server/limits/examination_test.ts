// src/server/limits/examination.ts: the checks of GET /v1/doctor.
import { expect, test } from "bun:test";
import { about } from "#src/base/check.ts";
import { systemClock } from "#src/base/clock.ts";
import { Courier } from "#src/courier.ts";
import { Examination } from "#src/server/limits/examination.ts";
import { MemoryStore } from "#src/transport/memory.ts";

test("document() has the checks of the store that servers share", async () => {
  const transport = new MemoryStore().open();
  const courier = new Courier(transport, { sender: "server", timeoutMs: 1_000 });
  async function* examine() {
    yield about("store", "server").failed("It is missing");
  }
  const examination = new Examination({ transport, courier, roster: null, store: { examine }, clock: systemClock });
  const { result, checks } = await examination.document();
  expect([result, checks.at(-1)?.message]).toEqual(["failed", "It is missing"]);
  await courier.close();
  await transport.close();
});
