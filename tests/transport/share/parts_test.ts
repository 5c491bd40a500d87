// src/transport/share: the gate, the share's clock, the kinds of file systems and the map of system errors, each alone.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { openTransport } from "#src/transport/open.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { gatedPrimitives, poolPrimitives } from "#src/transport/share/calls/network.ts";
import { Gate } from "#src/transport/share/calls/stall_gate.ts";
import { shareFailure } from "#src/transport/share/failures.ts";
import { SharedListings } from "#src/transport/share/folders/listings.ts";
import { Layout } from "#src/transport/share/layout.ts";
import { kindOf } from "#src/transport/share/mount/mount.ts";
import { ShareClock } from "#src/transport/share/time/share_clock.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";

/** A call that hangs until it is released. */
function hungCall(): { readonly call: () => Promise<string>; readonly end: (value: string) => void } {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { call: async () => await promise, end: resolve };
}

async function outcomeOf(action: Promise<unknown>): Promise<unknown> {
  return await action.catch((error: unknown) => (error instanceof Error ? error.message : error));
}

describe("SharedListings", () => {
  test("read() shares one listing among all callers before it begins, and not with later ones", async () => {
    const begun: ReturnType<typeof Promise.withResolvers<Set<string>>>[] = [];
    const listings = new SharedListings(async () => {
      const listing = Promise.withResolvers<Set<string>>();
      begun.push(listing);
      return await listing.promise;
    });
    const first = [listings.read("a"), listings.read("a")];
    await settle();
    expect(begun.length).toBe(1);
    const second = [listings.read("a"), listings.read("a")];
    const elsewhere = listings.read("b");
    await settle();
    expect(begun.length).toBe(2);
    const [old, other, fresh] = [new Set(["old"]), new Set(["other"]), new Set(["old", "new"])];
    begun[0]?.resolve(old);
    begun[1]?.resolve(other);
    expect(await Promise.all(first)).toEqual([old, old]);
    expect(await elsewhere).toEqual(other);
    await settle();
    begun[2]?.resolve(fresh);
    expect(await Promise.all(second)).toEqual([fresh, fresh]);
    expect(begun.length).toBe(3);
  });

  test("read() lists again after a listing that failed", async () => {
    let calls = 0;
    const listings = new SharedListings(async () => {
      calls++;
      if (calls === 1) throw new Error("EIO");
      return new Set(["a"]);
    });
    expect(await outcomeOf(listings.read("a"))).toBe("EIO");
    expect(await listings.read("a")).toEqual(new Set(["a"]));
  });
});

describe("Gate", () => {
  test("run() passes results and errors through when the calls return", async () => {
    const gate = new Gate(new ManualClock(), 1);
    const calls = [1, 2, 3].map(async (n) => await gate.run(async () => n));
    expect(await Promise.all(calls)).toEqual([1, 2, 3]);
    const failing = gate.run(async () => await Promise.reject(new Error("EIO")));
    expect(await outcomeOf(failing)).toBe("EIO");
    expect(await gate.run(async () => "open")).toBe("open");
  });

  test("run() has at most so many calls under way when more are asked for", async () => {
    const gate = new Gate(new ManualClock(), 2);
    const hung = Array.from({ length: 5 }, () => hungCall());
    let begun = 0;
    const calls = hung.map(async ({ call }) => {
      const counted = async (): Promise<string> => {
        begun++;
        return await call();
      };
      return await gate.run(counted);
    });
    await settle();
    expect(begun).toBe(2);
    hung[0]?.end("a");
    await settle();
    expect(begun).toBe(3);
    for (const { end } of hung) end("b");
    expect(await Promise.all(calls)).toEqual(["a", "b", "b", "b", "b"]);
  });

  test("run() fails at once, with how long it lasts, while a call hangs, and passes again when it returned", async () => {
    const clock = new ManualClock();
    const gate = new Gate(clock, 1);
    const { call, end } = hungCall();
    const late: string[] = [];
    const hung = outcomeOf(gate.run(call, { late: (value) => void late.push(value) }));
    const waiting = outcomeOf(gate.run(async () => "never begun"));
    await clock.advance(1_999);
    expect(await Promise.race([hung, Promise.resolve("still waiting")])).toBe("still waiting");
    await clock.advance(1);
    expect(await Promise.all([hung, waiting])).toEqual(["share stalled for 2 s", "share stalled for 2 s"]);
    await clock.advance(5_000);
    expect(await outcomeOf(gate.run(async () => "too soon"))).toBe("share stalled for 7 s");
    end("a descriptor");
    await settle();
    expect(late).toEqual(["a descriptor"]);
    expect(await gate.run(async () => "again")).toBe("again");
  });
});

test("Gate gives up a call with a longer limit when another one hangs beside it", async () => {
  const clock = new ManualClock();
  const gate = new Gate(clock, 2);
  const [long, short] = [hungCall(), hungCall()];
  const listing = outcomeOf(gate.run(long.call, { stalledAfterMs: 30_000 }));
  await clock.advance(1_000);
  const other = outcomeOf(gate.run(short.call));
  await clock.advance(2_000);
  expect(await Promise.all([listing, other])).toEqual(["share stalled for 3 s", "share stalled for 2 s"]);
  long.end("");
  short.end("");
});

describe("gatedPrimitives()", () => {
  test("a listing has 2 s, one of over 1,000 names or of a folder that is unknown 30 s", async () => {
    const clock = new ManualClock();
    let names: string[] = [];
    let hang: Promise<void> | null = null;
    const readdir = async (): Promise<string[]> => {
      await hang;
      return names;
    };
    const fs = gatedPrimitives({ ...poolPrimitives, readdir }, new Gate(clock, 1));
    const givenUpAfterMs = async (path: string): Promise<number> => {
      const hung = Promise.withResolvers<void>();
      hang = hung.promise;
      const startedAtMs = clock.monotonic();
      const ended: number[] = [];
      void outcomeOf(Promise.resolve(fs.readdir(path))).finally(() => ended.push(clock.monotonic()));
      while (ended.length === 0) await clock.advance(500);
      hung.resolve();
      hang = null;
      await settle();
      return (ended[0] ?? 0) - startedAtMs;
    };
    expect(await givenUpAfterMs("/unknown")).toBe(30_000);
    await fs.readdir("/a");
    expect(await givenUpAfterMs("/a")).toBe(2_000);
    names = Array.from({ length: 1_001 }, (_, index) => `${index}.json`);
    await fs.readdir("/a");
    expect(await givenUpAfterMs("/a")).toBe(30_000);
  });
});

describe("ShareClock", () => {
  const MS = 1_000_000n;

  test("now() is this machine's time until a file shows the share's", () => {
    const clock = new ManualClock(5_000);
    const time = new ShareClock(clock);
    expect([time.now(), time.isInStep]).toEqual([5_000, false]);
    time.saw(90_000n * MS);
    expect([time.now(), time.isInStep]).toEqual([90_000, true]);
  });

  test("now() uses the sample furthest ahead for 30 s, then by the last one", async () => {
    const clock = new ManualClock();
    const time = new ShareClock(clock);
    time.saw(90_000n * MS);
    await clock.advance(10_000);
    time.saw(99_996n * MS);
    expect(time.now()).toBe(100_000);
    await clock.advance(20_000);
    time.saw(119_000n * MS);
    expect(time.now()).toBe(119_000);
    time.saw(119_004n * MS);
    expect(time.now()).toBe(119_004);
  });

  test("now() follows at once when the share's clock is set back or ahead, by more than any call takes", async () => {
    const clock = new ManualClock();
    const time = new ShareClock(clock);
    time.saw(9_000_000n * MS);
    await clock.advance(1_000);
    time.saw(9_001_000n * MS - 3_600_000n * MS);
    expect(time.now()).toBe(5_401_000);
    time.saw(9_001_000n * MS);
    expect(time.now()).toBe(9_001_000);
  });

  test("askForSample() is true once when the last sample is 8 s old", async () => {
    const clock = new ManualClock();
    const time = new ShareClock(clock);
    time.saw(90_000n * MS);
    await clock.advance(7_999);
    expect(time.askForSample()).toBe(false);
    await clock.advance(1);
    expect([time.askForSample(), time.askForSample()]).toEqual([true, false]);
  });
});

describe("kindOf()", () => {
  test.each([
    [0xef53, "ext4", false],
    [0x01021994, "tmpfs", false],
    [0x6969, "nfs", true],
    [0xff534d42 | 0, "cifs", true],
    [0x65735546, "fuse", true],
    [0x12345678, "type-12345678", true],
  ])("knows %p as %s, network %p", (magic, name, isNetwork) => {
    expect(kindOf(magic)).toEqual({ name, isNetwork });
  });

  test("takes what it does not know for a network when it is no kind of ours", () => {
    expect(kindOf(statfsSync("/proc").type).isNetwork).toBe(true);
  });
});

describe("shareFailure()", () => {
  const ground = { fs: localPrimitives, layout: new Layout("/mnt/shared") };

  test.each([
    ["ENOSPC", "exhausted", "no space is left on the share (ENOSPC)"],
    ["EDQUOT", "exhausted", "the disk quota on the share is used up (EDQUOT)"],
    ["EROFS", "forbidden", "the share is mounted read-only (EROFS)"],
    ["EIO", "unavailable", "the share does not respond (EIO)"],
    ["ESTALE", "unavailable", "a folder disappeared meanwhile (ESTALE)"],
    ["EMFILE", "exhausted", "this machine has no file descriptors or memory left (EMFILE)"],
    ["ECONNABORTED", "unavailable", "the share does not respond (ECONNABORTED)"],
    ["EKEYEXPIRED", "unavailable", "the share does not respond (EKEYEXPIRED)"],
    ["EWEIRD", "unavailable", "unknown error of the share (EWEIRD)"],
  ])("maps %s to %s and keeps it as the cause", async (system, code, state) => {
    const raw = Object.assign(new Error("raw"), { code: system });
    const failure = await shareFailure(raw, 'send "ping-1"', "/mnt/shared/gpu_commands", ground);
    expect(failure).toMatchObject({ code, message: `Cannot send "ping-1" in /mnt/shared/gpu_commands: ${state}` });
    expect(failure.cause).toBe(raw);
    expect(await shareFailure(failure, "again", "/", ground)).toBe(failure);
  });

  test("maps an error of our own to internal, which nobody retries", async () => {
    const failure = await shareFailure(new TypeError("x is undefined"), "send", "/mnt/shared/gpu_commands", ground);
    expect(failure).toMatchObject({ code: "internal", message: expect.stringContaining("unexpected failure") });
  });
});

describe("openTransport()", () => {
  const options = { create: "never", watch: "auto", clock: systemClock, log: silentLog } as const;

  test("opens a share by its path, also a relative one", () => {
    const root = mkdtempSync(join(tmpdir(), "gpu-courier-open-"));
    try {
      expect(openTransport(root, options).description).toBe(`share at ${root}`);
      expect(openTransport(`share:${root}`, options).description).toBe(`share at ${root}`);
      expect(openTransport("shared", options).description).toBe(`share at ${join(process.cwd(), "shared")}`);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test("opens NATS by its address", () => {
    const { description } = openTransport("nats://one,two:4333", options);
    expect(description).toBe("nats at one:4222,two:4333 (gpu_courier)");
  });

  test.each([
    ["memory:", "invalid"],
    ["nats://", "invalid"],
    ["nats://host:99999", "invalid"],
    ["redis://127.0.0.1", "unimplemented"],
  ])("refuses %s as %s", (address, code) => {
    expect(() => openTransport(address, options)).toThrow(expect.objectContaining({ code }));
  });
});
