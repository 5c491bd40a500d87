// When the agent removes the commands that it has answered, and what becomes of refusals that it cannot publish.
import { describe, expect, test } from "bun:test";
import { Activity } from "#src/agent/commands/activity.ts";
import { ResponsePublisher } from "#src/agent/commands/response_publisher.ts";
import { Retries } from "#src/agent/commands/transport_retries.ts";
import { CourierError, type ErrorCode } from "#src/base/errors.ts";
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
    key: null,
    transport,
    ledger: { refuse: () => undefined },
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
  publisher.stopWaiting();
  await finished;
});

describe("refuse() on a share that denies responses", () => {
  const HOUR_MS = 3_600_000;
  interface Wish {
    readonly verb?: "delete_model" | "ping";
    readonly isSigned?: boolean;
    readonly endsInMs?: number;
  }

  /** A publisher whose responses are denied until `isDenied` is false. */
  function denied() {
    const clock = new ManualClock();
    const site = {
      clock,
      isDenied: true,
      attempts: 0,
      published: [] as string[],
      durable: [] as boolean[],
      notedMs: [] as number[],
      warned: [] as string[],
    };
    const cause = Object.assign(new Error("denied"), { code: "EACCES" });
    const transport = {
      now: () => clock.now(),
      release: async () => await Promise.resolve(true),
      respond: async (_: unknown, id: string, __: string, { durable }: { durable: boolean }) => {
        site.attempts += 1;
        site.durable.push(durable);
        if (site.isDenied) throw new CourierError("forbidden", "permission denied", { cause });
        return await Promise.resolve(site.published.push(id) > 0);
      },
      respondedAtMs: async () => await Promise.resolve(null),
    };
    const log = { ...silentLog, warn: (_: object, message: string) => void site.warned.push(message) };
    const activity = new Activity(clock);
    const deps = {
      agent: "gpu-1",
      key: null,
      transport,
      ledger: {
        refuse: (_: string, __: string, ___: number, { expiresAtMs }: { expiresAtMs: number }) =>
          void site.notedMs.push(expiresAtMs - clock.now()),
      },
      activity,
      retries: new Retries(clock),
      clock,
      log,
    };
    const publisher = new ResponsePublisher(deps);
    const refuse = async (
      id: string,
      code: ErrorCode,
      { verb = "delete_model", isSigned = false, endsInMs = 0 }: Wish = {},
    ) => {
      const content = { text: "{}" };
      const delivery: Delivery = { inbox: { agent: "gpu-1" }, id, key: id, content, sentAtMs: clock.now() };
      const answerTo = { address: { replyTo: "tester" }, ids: [id], version: 2 as const, request: null };
      const error = new CourierError(code, "refused");
      const signed = { keyId: "0123456789abcdef", expiresAtMs: clock.now() + endsInMs };
      const rest = { arguments: {}, requestedBy: null, answerTo, ledgerKey: id, ttlMs: 30_000 };
      const accepted = isSigned ? { verb, model: null, ...rest, signed } : null;
      return await publisher.refuse(delivery, { error, answerTo, verb, model: null, accepted });
    };
    return { site, publisher, refuse };
  }

  test("does not wait, and publishes the last 1,000 once that is allowed", async () => {
    const { site, publisher, refuse } = denied();
    const ids = Array.from({ length: 1_200 }, (_, index) => `id-${index}`);
    expect(
      new Set(await Promise.all(ids.map(async (id) => await refuse(id, "deadline_exceeded", { isSigned: true })))),
    ).toEqual(new Set(["ended"]));
    await site.clock.advance(30_000);
    site.isDenied = false;
    await site.clock.advance(1_000);
    expect(site.published.toSorted()).toEqual(ids.slice(200).toSorted());
    expect(site.warned.filter((message) => message.startsWith("Too many refusals"))).toHaveLength(1);
    publisher.stopWaiting();
  });

  test("looks once a second for a minute, then once a minute, and gives up after an hour", async () => {
    const { site, publisher, refuse } = denied();
    await refuse("id-1", "deadline_exceeded", { isSigned: true });
    await site.clock.advance(60_000);
    expect([site.attempts, new Set(site.durable)]).toEqual([61, new Set([true])]);
    await site.clock.advance(2 * HOUR_MS);
    expect(site.attempts).toBe(120);
    expect(site.warned.at(-1)).toBe("A refusal could not be published for an hour");
    publisher.stopWaiting();
  });

  test("notes the end of a signed command, and none that is over a year ahead: it would stay in the ledger for good", async () => {
    const { site, publisher, refuse } = denied();
    for (const days of [3, 366, 100_000])
      await refuse(`id-${days}`, "invalid", { isSigned: true, endsInMs: days * DAY_MS });
    expect(site.notedMs).toEqual([3 * DAY_MS, 366 * DAY_MS, 366 * DAY_MS]);
    publisher.stopWaiting();
  });

  test.each([["forbidden"], ["unauthenticated"], ["invalid"], ["deadline_exceeded"], ["unimplemented"]] as const)(
    "drops the refusal (%s) of a command that no trusted key signed at the first denial, and syncs none of them",
    async (code) => {
      const { site, publisher, refuse } = denied();
      await refuse("id-1", code);
      await refuse("id-2", code, { verb: "ping" });
      await site.clock.advance(2 * HOUR_MS);
      expect([site.attempts, site.durable]).toEqual([2, [false, false]]);
      publisher.stopWaiting();
    },
  );
});
