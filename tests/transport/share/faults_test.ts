// src/transport/share: faults of a disk or server: hangs, lost replies, no room, stale names, short reads.
// The faults are planted in the table of file calls; everything else is the real driver on a real folder.
import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Delivery, Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { failure } from "#tests/support/failure.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { FAST, GPU } from "#tests/transport/conformance/addresses.ts";
import { expectCode, Heard } from "#tests/transport/conformance/heard.ts";

const DURABLE = { durable: true };
const DELIVERY: Delivery = {
  inbox: "shared",
  id: "a",
  key: "a~0123456789abcdef",
  content: { text: "{}" },
  sentAtMs: 0,
};

const opened = new OpenShares();
afterEach(async () => {
  await opened.close();
});

/**
 * A connected handle whose file calls are these where they are given, and the real ones otherwise. By a manual clock they
 * are done at once, also as a network's: it stands still while the disk is slow, so that nothing hangs but what is planted.
 */
async function openFaulty(
  watch: "local" | "network",
  faults: Partial<Primitives>,
  clock: Clock = systemClock,
): Promise<{ transport: Transport; root: string }> {
  const folder = opened.folder();
  const network = clock === systemClock ? poolPrimitives : localPrimitives;
  const calls = { local: { ...localPrimitives, ...faults }, network: { ...network, ...faults } };
  const transport = new ShareTransport(folder.root, { create: "always", watch, clock, log: silentLog }, calls);
  opened.keep(transport);
  await transport.connect();
  await transport.openInbox(GPU);
  return { transport, root: folder.root };
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: planted`), { code });
}

describe.each(["local", "network"] as const)("share, %s", (watch) => {
  test("send() and respond() ask for the disk before and after the rename when durable, and never otherwise", async () => {
    const order: string[] = [];
    const { transport } = await openFaulty(watch, {
      fsync: async (file) => {
        order.push(
          `fsync ${localPrimitives.fstat(file) instanceof Promise ? "" : (await localPrimitives.fstat(file)).kind}`,
        );
        await localPrimitives.fsync(file);
      },
      rename: (from, to) => {
        order.push("rename");
        return localPrimitives.rename(from, to);
      },
    });
    await transport.send(GPU, "pull-1", "{}", DURABLE);
    await transport.respond("shared", "pull-1", "{}", DURABLE);
    expect(order.splice(0)).toEqual(["fsync file", "rename", "fsync folder", "fsync file", "rename", "fsync folder"]);
    await transport.send(GPU, "ping-1", "{}", FAST);
    await transport.publishState("gpu-1", "{}");
    expect(order).toEqual(["rename", "rename"]);
  });

  test.each([
    ["write", "ENOSPC", "exhausted"],
    ["close", "EDQUOT", "exhausted"],
    ["open", "EROFS", "forbidden"],
    ["fsync", "EIO", "unavailable"],
    ["rename", "EIO", "unavailable"],
  ] as const)(
    "send() publishes nothing and leaves nothing behind when %s fails with %s",
    async (call, system, code) => {
      let broken = "";
      const failIn = (name: string): void => {
        if (name === broken) throw systemError(system);
      };
      const { transport, root } = await openFaulty(watch, {
        open: (path, flags, mode) => {
          failIn("open");
          return localPrimitives.open(path, flags, mode);
        },
        write: (file, bytes) => {
          failIn("write");
          return localPrimitives.write(file, bytes);
        },
        close: (file) => {
          // The descriptor is free whatever close says.
          void localPrimitives.close(file);
          failIn("close");
        },
        fsync: async (file) => {
          failIn("fsync");
          await localPrimitives.fsync(file);
        },
        rename: (from, to) => {
          failIn("rename");
          return localPrimitives.rename(from, to);
        },
      });
      // Makes .tmp.
      await transport.send(GPU, "ping-1", "{}", FAST);
      await transport.withdraw(GPU, "ping-1");
      broken = call;
      await expectCode(transport.send(GPU, "pull-1", '{"n":1}', DURABLE), code);
      broken = "";
      expect(readdirSync(join(root, "gpu_commands", "gpu-1"))).toEqual([]);
      expect(readdirSync(join(root, "gpu_commands", ".tmp"))).toEqual([]);
    },
  );

  test("send() resolves when the answer to its rename was lost and the second one says ENOENT", async () => {
    const { transport } = await openFaulty(watch, {
      rename: async (from, to) => {
        await localPrimitives.rename(from, to);
        throw systemError("ENOENT");
      },
    });
    const heard = await Heard.at(transport, GPU);
    await transport.send(GPU, "pull-1", "{}", DURABLE);
    await until(() => heard.ids.length === 1);
  });

  test.each(["EEXIST", "EIO"])(
    "claim() is held when the answer to its link was lost and it says %s",
    async (system) => {
      const { transport } = await openFaulty(watch, {
        link: async (existing, path) => {
          await localPrimitives.link(existing, path);
          throw systemError(system);
        },
      });
      expect(await transport.claim(DELIVERY, { agent: "gpu-1", instance: "i-1" })).toBe(true);
    },
  );

  test("receive() delivers a listed command when the first open finds a stale name", async () => {
    let stale = 0;
    const { transport } = await openFaulty(watch, {
      open: (path, flags, mode) => {
        if (path.endsWith("ping-1.json") && stale++ === 0) throw systemError("ESTALE");
        return localPrimitives.open(path, flags, mode);
      },
    });
    await transport.send(GPU, "ping-1", "{}", FAST);
    const heard = await Heard.at(transport, GPU);
    await until(() => heard.ids.length === 1);
    expect(stale).toBeGreaterThan(1);
    expect(heard.interruptions).toEqual([]);
  });

  test("receive() delivers whole text when reads are short and the size lags behind", async () => {
    const { transport } = await openFaulty(watch, {
      fstat: async (file) => ({ ...(await localPrimitives.fstat(file)), size: 0 }),
      read: (file, into, offset) => localPrimitives.read(file, into.subarray(0, offset + 7), offset),
    });
    const text = JSON.stringify({ note: "ü".repeat(1_000) });
    const heard = await Heard.at(transport, GPU);
    await transport.send(GPU, "ping-1", text, FAST);
    await until(() => heard.ids.length === 1);
    expect(heard.deliveries[0]?.content).toEqual({ text });
  });

  test("every call leaves no descriptor open, also where it fails", async () => {
    const { transport, root } = await openFaulty(watch, {});
    writeFileSync(join(root, "gpu_commands", "half.json"), "{");
    mkdirSync(join(root, "gpu_commands", "folder.json"));
    const use = async (): Promise<void> => {
      await transport.send(GPU, "ping-1", "{}", DURABLE);
      await transport.claim(DELIVERY, { agent: "gpu-1", instance: "i-1" });
      await transport.isUnchanged(DELIVERY);
      await transport.publishState("gpu-1", "{}");
      await transport.readStates();
      await transport.respondedAtMs("shared", "a");
      await expectCode(transport.send("shared", "folder", "{}", FAST), "forbidden");
      const heard = await Heard.at(transport, "shared");
      await until(() => heard.ids.includes("folder"));
      await heard.close();
    };
    await use();
    const before = readdirSync("/proc/self/fd").length;
    for (let round = 0; round < 10; round++) await use();
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(before + 10);
  });
});

test("a thousand questions at once for answers on a network share cost two listings, not a thousand", async () => {
  const listed: string[] = [];
  const { transport } = await openFaulty("network", {
    readdir: async (path) => {
      if (path.endsWith("gpu_status")) listed.push(path);
      return await poolPrimitives.readdir(path);
    },
  });
  await transport.respond("shared", "list-7", "{}", FAST);
  listed.length = 0;
  const ids = Array.from({ length: 1000 }, (_, number) => `list-${number}`);
  const found = await Promise.all(ids.map(async (id) => await transport.respondedAtMs("shared", id)));
  expect(found.flatMap((atMs, number) => (atMs === null ? [] : [number]))).toEqual([7]);
  expect(listed.length).toBeLessThanOrEqual(2);
});

describe("a network share whose server hangs", () => {
  test("fails every call at once, informs its subscriptions, and continues when the server responds", async () => {
    const clock = new ManualClock();
    let answers = Promise.resolve();
    const { transport } = await openFaulty(
      "network",
      {
        readdir: async (path) => {
          await answers;
          return await localPrimitives.readdir(path);
        },
      },
      clock,
    );
    const heard = await Heard.at(transport, GPU);
    await transport.readStates();
    const hang = Promise.withResolvers<void>();
    answers = hang.promise;
    const reading = expectCode(transport.readStates(), "unavailable");
    await passes(clock, 500, () => heard.interruptions.length === 1);
    await reading;
    expect(heard.interruptions[0]?.message).toMatch(/^share stalled for \d s$/);
    await expectCode(transport.send(GPU, "ping-1", "{}", FAST), "unavailable");
    hang.resolve();
    await passes(clock, 500, () => heard.restored === 1);
    await transport.send(GPU, "ping-2", "{}", FAST);
    await passes(clock, 50, () => heard.ids.length === 1);
    expect(heard.ids).toEqual(["ping-2"]);
  });

  test("withdraws a command whose publishing was abandoned, and reports its outcome as unknown", async () => {
    const clock = new ManualClock();
    const hang = Promise.withResolvers<void>();
    let isHung = false;
    const removed: string[] = [];
    const { transport, root } = await openFaulty(
      "network",
      {
        rename: async (from, to) => {
          if (to.endsWith("pull-1.json")) {
            isHung = true;
            await hang.promise;
          }
          await localPrimitives.rename(from, to);
        },
        unlink: async (path) => {
          await localPrimitives.unlink(path);
          removed.push(basename(path));
        },
      },
      clock,
    );
    let isOver = false;
    const sending = failure(transport.send(GPU, "pull-1", "{}", DURABLE)).finally(() => {
      isOver = true;
    });
    // The disk takes its time for what is durable: that is before it.
    await until(() => isHung);
    await passes(clock, 500, () => isOver);
    const { code, message } = await sending;
    expect([code, message]).toEqual(["unavailable", "share stalled for 2 s: whether the command is there is unknown"]);
    hang.resolve();
    await until(() => removed.includes("pull-1.json"));
    await transport.send(GPU, "pull-2", "{}", DURABLE);
    expect(readdirSync(join(root, "gpu_commands", "gpu-1"))).toEqual(["pull-2.json"]);
  });

  test("withdraws a command whose folder could not be synced", async () => {
    let isBroken = true;
    const { transport, root } = await openFaulty("network", {
      fsync: async (file) => {
        if (isBroken && (await poolPrimitives.fstat(file)).kind === "folder") throw systemError("EIO");
        await poolPrimitives.fsync(file);
      },
    });
    await expectCode(transport.send(GPU, "pull-1", "{}", DURABLE), "unavailable");
    isBroken = false;
    await until(() => readdirSync(join(root, "gpu_commands", "gpu-1")).length === 0);
  });

  test("closes a descriptor whose close the gate refused", async () => {
    const clock = new ManualClock();
    const hang = Promise.withResolvers<void>();
    const closed: number[] = [];
    let hung: number | null = null;
    const { transport } = await openFaulty(
      "network",
      {
        fstat: async (file) => {
          if (hung === -1) {
            hung = file;
            await hang.promise;
          }
          return await localPrimitives.fstat(file);
        },
        close: async (file) => {
          await localPrimitives.close(file);
          closed.push(file);
        },
      },
      clock,
    );
    await transport.publishState("gpu-7", "{}");
    hung = -1;
    let isOver = false;
    const reading = failure(transport.readState("gpu-7")).finally(() => {
      isOver = true;
    });
    await passes(clock, 500, () => isOver);
    await reading;
    closed.length = 0;
    hang.resolve();
    await until(() => closed.length === 1);
    expect(closed).toEqual([hung ?? -1]);
  });

  test("closes a file whose abandoned open succeeds in the end", async () => {
    const clock = new ManualClock();
    const hang = Promise.withResolvers<void>();
    const late: { opened: number | null; readonly closed: number[] } = { opened: null, closed: [] };
    const { transport } = await openFaulty(
      "network",
      {
        open: async (path, flags, mode) => {
          const isHung = path.endsWith("gpu-7_status.json");
          if (isHung) await hang.promise;
          const file = await localPrimitives.open(path, flags, mode);
          if (isHung) late.opened = file;
          return file;
        },
        close: async (file) => {
          late.closed.push(file);
          await localPrimitives.close(file);
        },
      },
      clock,
    );
    await transport.publishState("gpu-7", "{}");
    late.closed.length = 0;
    const reading = expectCode(transport.readState("gpu-7"), "unavailable");
    let isOver = false;
    const watching = reading.finally(() => {
      isOver = true;
    });
    await passes(clock, 500, () => isOver);
    await watching;
    hang.resolve();
    await until(() => late.closed.length === 1);
    expect(late.closed).toEqual([late.opened ?? -1]);
  });
});

test("nothing is published on the file system under the mount point when the share is unmounted between two calls", async () => {
  let isUnmounted = false;
  const { transport, root } = await openFaulty("network", {
    fstat: async (file) => {
      const facts = await poolPrimitives.fstat(file);
      return isUnmounted ? { ...facts, dev: facts.dev + 1n } : facts;
    },
  });
  await transport.publishState("gpu-1", '{"n":1}');
  isUnmounted = true;
  await expectCode(transport.publishState("gpu-1", '{"n":2}'), "unavailable");
  expect(readFileSync(join(root, "gpu_status", "gpu-1_status.json"), "utf8")).toBe('{"n":1}');
  expect(readdirSync(join(root, "gpu_status", ".tmp"))).toEqual([]);
});
