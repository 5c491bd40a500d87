// The bounds of the queue of webhooks: what a receiver is too slow for is dropped and counted, and memory stays small.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { isoTime } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { type Job, newPull } from "#src/protocol.ts";
import { WebhookSite } from "./site.ts";

const [BATCHES, BATCH] = [50, 200];

let site: WebhookSite;
beforeEach(() => {
  site = new WebhookSite();
});
afterEach(async () => await site.close());

function batch(number: number): Job[] {
  const ended_at = isoTime(site.clock.now());
  const ids = Array.from({ length: BATCH }, (_, index) => `job-${number * BATCH + index}`);
  return ids.map((id) => ({ ...newPull(id, "gpu-1", "phi4:latest"), state: "succeeded", ended_at }));
}

test("10,000 events for a slow receiver: 1,000 are kept, four are under way, the rest is dropped and counted", async () => {
  const logged: object[] = [];
  const log = { ...silentLog, warn: (fields: object) => void logged.push(fields) };
  let [underWay, most] = [0, 0];
  site.answer = async () => {
    underWay++;
    most = Math.max(most, underWay);
    await site.clock.sleep(10_000);
    underWay--;
    return { status: 204 };
  };
  const life = await site.start({ log });
  for (let number = 0; number < BATCHES; number++) await life.end(...batch(number));
  const counts = life.webhooks.tables.targets(0)[0];
  expect(counts).toMatchObject({ pending: 1_000, failed: 0 });
  expect((counts?.dropped ?? 0) + (counts?.delivered ?? 0)).toBe(BATCHES * BATCH - 1_000);
  expect(most).toBe(4);
  // Of those that are done at most 1,000 stay, and what was added since the last cleanup.
  expect(life.states().length).toBeLessThan(1_000 + 1_000 + 500 + BATCH);
  expect(logged).toHaveLength(1);
  // The newest are those that stay.
  const kept = life.webhooks.tables.deliveries({ state: "pending" }, { limit: 2_000 });
  expect(kept[0]?.subject).toBe(`gpu-1/job-${BATCHES * BATCH - 1}`);
});
