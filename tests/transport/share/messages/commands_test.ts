// src/transport/share/messages/commands.ts and awaited.ts: how long a failed command is withdrawn, and who hears of a sent one.
import { afterEach, describe, expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { Awaited } from "#src/transport/share/messages/awaited.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { failure } from "#tests/support/failure.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";
import { FAST, GPU } from "#tests/transport/conformance/addresses.ts";
import { expectCode } from "#tests/transport/conformance/heard.ts";

describe("Commands", () => {
  const folders: ShareFolder[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await folder.remove();
  });

  function brokenDisk(): Error {
    return Object.assign(new Error("EIO: planted"), { code: "EIO" });
  }

  test("retries the withdrawal of a failed command until the handle is closed, then attempts it once more", async () => {
    const folder = new ShareFolder();
    folders.push(folder);
    const clock = new ManualClock();
    const renaming = Promise.withResolvers<void>();
    let attempts = 0;
    const faults: Partial<Primitives> = {
      rename: async (from, to) => {
        if (to.endsWith("late.json")) await renaming.promise;
        await localPrimitives.rename(from, to);
        if (to.endsWith(".json")) throw brokenDisk();
      },
      unlink: (path) => {
        if (!path.endsWith(".json")) return localPrimitives.unlink(path);
        attempts += 1;
        throw brokenDisk();
      },
    };
    const calls = { local: { ...localPrimitives, ...faults }, network: poolPrimitives };
    const options = { create: "always", watch: "local", clock, log: silentLog } as const;
    const transport = new ShareTransport(folder.root, options, calls);
    await transport.connect();
    await transport.openInbox(GPU);

    await expectCode(transport.send(GPU, "early", "{}", FAST), "unavailable");
    await clock.advance(3_500);
    const before = attempts;
    expect(before).toBeGreaterThan(1);
    const late = failure(transport.send(GPU, "late", "{}", FAST));
    let isClosed = false;
    const closing = transport.close().finally(() => {
      isClosed = true;
    });
    await passes(clock, 100, () => isClosed);
    await closing;
    expect(attempts).toBe(before + 1);
    renaming.resolve();
    expect((await late).code).toBe("unavailable");
    await clock.advance(10_000);
    expect(attempts).toBe(before + 2);
  });
});

describe("Awaited", () => {
  test("sinceMs() is the time of the last command while a response is missing, then null", async () => {
    const clock = new ManualClock();
    const awaited = new Awaited(clock);
    expect(awaited.sinceMs()).toBeNull();
    awaited.expect("a");
    await clock.advance(10);
    awaited.expect("b");
    awaited.settle("b");
    expect(awaited.sinceMs()).toBe(10);
    awaited.settle("a");
    awaited.settle("unknown");
    expect(awaited.sinceMs()).toBeNull();
  });

  test("subscribe() calls back at each command until it is ended", () => {
    const awaited = new Awaited(new ManualClock());
    const seen: string[] = [];
    const end = awaited.subscribe(() => seen.push("first"));
    awaited.subscribe(() => seen.push("second"));
    awaited.expect("a");
    end();
    awaited.expect("b");
    expect(seen).toEqual(["first", "second", "second"]);
  });
});
