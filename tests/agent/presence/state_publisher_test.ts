// src/agent/presence/state_publisher: which publications are documents, and which only heartbeats.
import { expect, test } from "bun:test";
import { StatePublisher } from "#src/agent/presence/state_publisher.ts";
import { CourierError } from "#src/base/errors.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const DISK_BYTES = 1000;

/** A publisher of a state whose fields the test sets, on a transport that records and may fail. */
function openPublisher() {
  const clock = new ManualClock();
  const site = {
    state: { status: "running", disk: { free_bytes: 500 } } as object,
    fails: false,
    sent: [] as string[],
  };
  let sequence = 0;
  const send = (kind: string) => async (): Promise<void> => {
    site.sent.push(kind);
    if (site.fails) throw new CourierError("unavailable", "The share stalled");
  };
  const document = {
    next: () => {
      sequence += 1;
      return { text: JSON.stringify({ ...site.state, sequence }), sequence, diskBytes: DISK_BYTES };
    },
  };
  const transport = { now: () => clock.now(), publishState: send("document"), renewState: send("heartbeat") };
  const outage = { failed: () => undefined, ended: () => undefined };
  const guard = { mayPublish: async () => await Promise.resolve(true), published: () => undefined };
  const publisher = new StatePublisher({ agent: "gpu-1", transport, document, guard, outage, clock });
  const publish = async (change: object = {}): Promise<string | undefined> => {
    site.state = { ...site.state, ...change };
    await publisher.publish();
    return site.sent.at(-1);
  };
  return { clock, site, publish };
}

test("a document is published for what matters, and at least once a minute", async () => {
  const { clock, publish } = openPublisher();
  expect([await publish(), await publish()]).toEqual(["document", "heartbeat"]);
  expect(await publish({ status: "draining" })).toBe("document");
  expect(await publish({ disk: { free_bytes: 491 } })).toBe("heartbeat");
  expect(await publish({ disk: { free_bytes: 489 } })).toBe("document");
  await clock.advance(59_999);
  expect(await publish()).toBe("heartbeat");
  await clock.advance(1);
  expect(await publish()).toBe("document");
});

test("a publication that failed may have been seen: the next one is a document", async () => {
  const { site, publish } = openPublisher();
  await publish({ status: "running" });
  site.fails = true;
  await publish({ status: "degraded" });
  site.fails = false;
  expect(await publish({ status: "running" })).toBe("document");
  expect(await publish()).toBe("heartbeat");
});
