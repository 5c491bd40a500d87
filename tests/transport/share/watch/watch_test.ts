// src/transport/share/watch: when a folder is listed: after events, as a safety net, by a rhythm, and while it is away.
// The clock is manual: a change that shows without clock time passing was reported by an event.
import { afterEach, describe, expect, test } from "bun:test";
import { constants, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import type { Facts, Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { LocalRhythm } from "#src/transport/share/watch/local_rhythm.ts";
import { NetworkRhythm } from "#src/transport/share/watch/network_rhythm.ts";
import type { Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { FAST, GPU } from "#tests/transport/conformance/addresses.ts";
import { Heard, HeardReplies } from "#tests/transport/conformance/heard.ts";

const OWN = { replyTo: "ctl-1" };
const NFS = 0x6969;

const opened = new OpenShares();
afterEach(async () => {
  await opened.close();
});

async function connect(
  { root }: ShareFolder,
  clock: ManualClock,
  watch: "auto" | "local" | "network",
  faults: Partial<Primitives> = {},
): Promise<Transport> {
  // Done at once, also as a network's: the clock stands still while the disk is slow.
  const calls = { local: { ...localPrimitives, ...faults }, network: { ...localPrimitives, ...faults } };
  const transport = new ShareTransport(root, { create: "always", watch, clock, log: silentLog }, calls);
  opened.keep(transport);
  await transport.connect();
  await transport.openInbox(GPU);
  return transport;
}

/** A handle that watches its inbox by events. */
async function listenLocally() {
  const folder = opened.folder();
  const clock = new ManualClock();
  const transport = await connect(folder, clock, "local");
  const heard = await Heard.at(transport, GPU);
  return { folder, clock, transport, heard };
}

describe("a local watch", () => {
  test("hears by events alone, also after its folder was moved away, when several handles watch", async () => {
    const folder = opened.folder();
    const clock = new ManualClock();
    const handles = [await connect(folder, clock, "local"), await connect(folder, clock, "local")];
    const heard = [await Heard.at(...at(handles, 0)), await Heard.at(...at(handles, 1))];
    const [sender] = handles;
    const exchange = async (id: string): Promise<void> => {
      await sender?.send(GPU, id, "{}", FAST);
      await until(() => heard.every(({ ids }) => ids.includes(id)));
    };
    await exchange("ping-1");
    renameSync(join(folder.root, "gpu_commands", "gpu-1"), join(folder.root, "gone"));
    await until(() => readdirSync(join(folder.root, "gpu_commands")).includes("gpu-1"));
    await clock.advance(300);
    await exchange("ping-2");
    await exchange("ping-3");
  });

  test("hears by events alone after its folder was removed and made again with the same inode number", async () => {
    const folder = opened.folder();
    const clock = new ManualClock();
    const inbox = join(folder.root, "gpu_commands", "gpu-1");
    // As ext4 gives it.
    const transport = await connect(folder, clock, "local", {
      lstat: async (path) => ({ ...(await localPrimitives.lstat(path)), ...(path === inbox ? { ino: 7n } : {}) }),
    });
    const heard = await Heard.at(transport, GPU);
    await transport.send(GPU, "ping-1", "{}", FAST);
    await until(() => heard.ids.length === 1);
    rmSync(inbox, { recursive: true });
    mkdirSync(inbox);
    await passes(clock, 200, () => clock.monotonic() >= 1_500);
    const beforeMs = clock.monotonic();
    await transport.send(GPU, "ping-2", "{}", FAST);
    await until(() => heard.ids.includes("ping-2"));
    expect(clock.monotonic()).toBe(beforeMs);
  });

  test("finds changes without events by the safety listing, within a second", async () => {
    const { clock, transport, heard } = await listenLocally();
    await transport.send(GPU, "ping-1", '{"n":1}', FAST);
    await until(() => heard.ids.length === 1);
    // The second event within a millisecond is dropped; where it is not, it is heard at once.
    await Promise.all([
      transport.send(GPU, "ping-2", '{"n":1}', FAST),
      transport.send(GPU, "ping-2", '{"n":22}', FAST),
    ]);
    await passes(clock, 500, () => JSON.stringify(heard.deliveries).includes("22"));
    expect(clock.monotonic()).toBeLessThan(3_000);
  });

  test("finds a rewritten name when its folder was replaced without an event", async () => {
    const { folder, clock, transport, heard } = await listenLocally();
    await transport.send(GPU, "ping-1", '{"n":1}', FAST);
    await until(() => heard.ids.length === 1);
    await passes(clock, 500, () => clock.monotonic() >= 2_000);
    const [inbox, other] = [join(folder.root, "gpu_commands", "gpu-1"), join(folder.root, "other")];
    mkdirSync(other);
    writeFileSync(join(other, "ping-1.json"), '{"n":22}');
    renameSync(inbox, join(folder.root, "gone"));
    renameSync(other, inbox);
    await passes(clock, 200, () => JSON.stringify(heard.deliveries).includes("22"));
  });

  test("delivers nothing again when a command was moved away and back", async () => {
    const { folder, clock, transport, heard } = await listenLocally();
    await transport.send(GPU, "ping-1", "{}", FAST);
    await until(() => heard.ids.length === 1);
    const [path, away] = [join(folder.root, "gpu_commands", "gpu-1", "ping-1.json"), join(folder.root, "away")];
    renameSync(path, away);
    await clock.advance(1_000);
    renameSync(away, path);
    await transport.send(GPU, "ping-2", "{}", FAST);
    await until(() => heard.ids.includes("ping-2"));
    await clock.advance(2_000);
    expect(heard.ids).toEqual(["ping-1", "ping-2"]);
  });
});

describe("LocalRhythm", () => {
  test("prepare() reports possibly missed changes each time when there are no events", async () => {
    const folder = opened.folder();
    const rhythm = new LocalRhythm(join(folder.root, "none"), () => undefined, silentLog);
    const facts = await localPrimitives.lstat(folder.root);
    expect([rhythm.prepare(facts), rhythm.prepare(facts), rhythm.prepare(facts)]).toEqual([false, false, false]);
  });

  test("prepare() reports possibly missed changes once after the watch was opened, and until it is open again", async () => {
    const folder = opened.folder();
    const rhythm = new LocalRhythm(folder.root, () => undefined, silentLog);
    const facts = await localPrimitives.lstat(folder.root);
    const other = { ...facts, ino: facts.ino + 1n };
    expect([rhythm.prepare(facts), rhythm.prepare(facts)]).toEqual([false, true]);
    expect([rhythm.prepare(other), rhythm.prepare(other), rhythm.prepare(other)]).toEqual([false, false, true]);
    rhythm.close();
  });
});

describe("NetworkRhythm", () => {
  /** The pauses of a rhythm that is asked for a while. */
  async function pauses(rhythm: NetworkRhythm, clock: ManualClock, forMs: number): Promise<number[]> {
    const found: number[] = [];
    for (const endMs = clock.monotonic() + forMs; clock.monotonic() < endMs; ) {
      await rhythm.beforeListing();
      rhythm.listed([]);
      found.push(rhythm.intervalMs());
      await clock.advance(rhythm.intervalMs());
    }
    return found;
  }

  test("intervalMs() doubles to a second when nothing came for 10 s", async () => {
    const clock = new ManualClock();
    const rhythm = new NetworkRhythm({ clock, awaitedSinceMs: () => null, nudge: null });
    expect(new Set(await pauses(rhythm, clock, 10_000))).toEqual(new Set([50]));
    expect(await pauses(rhythm, clock, 3_500)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    rhythm.stir();
    expect(await pauses(rhythm, clock, 100)).toEqual([50, 50]);
  });

  test("intervalMs() is 20 ms for 2 s when an answer is awaited, then 50 ms for as long as it is", async () => {
    const clock = new ManualClock();
    let sinceMs: number | null = null;
    const rhythm = new NetworkRhythm({ clock, awaitedSinceMs: () => sinceMs, nudge: null });
    await pauses(rhythm, clock, 60_000);
    sinceMs = clock.monotonic();
    expect(new Set(await pauses(rhythm, clock, 2_000))).toEqual(new Set([20]));
    expect(new Set(await pauses(rhythm, clock, 28_000))).toEqual(new Set([50]));
    sinceMs = null;
    expect(await pauses(rhythm, clock, 100)).toEqual([100]);
  });

  test("beforeListing() nudges 100 ms after the last listing that differs from the one before, and every 10 s", async () => {
    const clock = new ManualClock();
    const nudgedAtMs: number[] = [];
    const nudge = async (): Promise<boolean> => nudgedAtMs.push(clock.monotonic()) > 0;
    const rhythm = new NetworkRhythm({ clock, awaitedSinceMs: () => null, nudge });
    const look = async (...names: string[]): Promise<number> => {
      const pauseMs = await rhythm.beforeListing();
      await clock.advance(pauseMs);
      rhythm.listed(names);
      return rhythm.intervalMs();
    };
    await look("a.json");
    expect(nudgedAtMs.splice(0)).toEqual([0]);
    for (let passed = 0; passed < 90; passed += 30) {
      await clock.advance(30);
      await look("a.json", `${passed}.json`);
    }
    await clock.advance(100);
    expect(await look("a.json", "60.json", ".nudge-of-another")).toBe(50);
    expect(nudgedAtMs.splice(0)).toEqual([205]);
    for (let passed = 0; passed < 20_000; passed += 50) {
      await clock.advance(50);
      await look("a.json", "60.json");
    }
    expect(nudgedAtMs.splice(0)).toEqual([10_220, 20_235]);
    await clock.advance(50);
    await look("b.json");
    await clock.advance(60);
    expect(await look("b.json")).toBe(40);
  });
});

describe("a network watch", () => {
  test("lists each 50 ms for 10 s after something came, then ever more rarely, down to each second", async () => {
    const clock = new ManualClock();
    let listings = 0;
    const transport = await connect(opened.folder(), clock, "network", {
      readdir: (path) => {
        if (path.endsWith("gpu-1")) listings++;
        return localPrimitives.readdir(path);
      },
    });
    await Heard.at(transport, GPU);
    await until(() => listings === 1);
    for (let passed = 0; passed < 12_000; passed += 50) {
      await clock.advance(50);
      await transport.readStates();
    }
    expect(listings).toBeWithin(150, 206);
    const before = listings;
    for (let passed = 0; passed < 10_000; passed += 250) {
      await clock.advance(250);
      await transport.readStates();
    }
    expect(listings - before).toBeWithin(8, 12);
  });

  test("looks for the answer at once after a command was sent, however long nothing came before", async () => {
    const clock = new ManualClock();
    let listings = 0;
    const transport = await connect(opened.folder(), clock, "network", {
      readdir: (path) => {
        if (path.endsWith("ctl-1")) listings++;
        return localPrimitives.readdir(path);
      },
    });
    const heard = await HeardReplies.at(transport, OWN);
    for (let passed = 0; passed < 12_000; passed += 250) {
      await clock.advance(250);
      await transport.readStates();
    }
    const before = listings;
    await passes(clock, 50, () => listings > before);
    const sentAtMs = clock.monotonic();
    await transport.send(GPU, "ping-1", "{}", FAST);
    await transport.respond(OWN, "ping-1", "{}", FAST);
    await passes(clock, 10, () => heard.ids.length === 1);
    expect(clock.monotonic() - sentAtMs).toBeLessThan(500);
  });
});

describe.each(["local", "network"] as const)("a %s watch", (watch) => {
  test("looks for its folder again, and is not interrupted, when a listing says that it is stale", async () => {
    const clock = new ManualClock();
    let stale = 0;
    const transport = await connect(opened.folder(), clock, watch, {
      readdir: (path) => {
        if (path.endsWith("gpu-1") && stale++ === 0) throw Object.assign(new Error("planted"), { code: "ESTALE" });
        return localPrimitives.readdir(path);
      },
    });
    const heard = await Heard.at(transport, GPU);
    await transport.send(GPU, "ping-1", "{}", FAST);
    await passes(clock, 50, () => heard.ids.length === 1);
    expect(stale).toBeGreaterThan(1);
    expect(heard.interruptions).toEqual([]);
  });

  test("delivers a file that could not be read for a while, and everything else meanwhile", async () => {
    const clock = new ManualClock();
    let isBad = true;
    const transport = await connect(opened.folder(), clock, watch, {
      open: (path, flags, mode) => {
        if (isBad && path.endsWith("ping-1.json")) throw Object.assign(new Error("planted"), { code: "EIO" });
        return localPrimitives.open(path, flags, mode);
      },
    });
    const heard = await Heard.at(transport, GPU);
    await transport.send(GPU, "ping-1", "{}", FAST);
    await transport.send(GPU, "ping-2", "{}", FAST);
    await passes(clock, 50, () => heard.ids.includes("ping-2"));
    await passes(clock, 500, () => clock.monotonic() > 6_000);
    isBad = false;
    await passes(clock, 500, () => heard.ids.includes("ping-1"));
    expect(heard.interruptions).toEqual([]);
  });

  test("says once that it is interrupted, however often it tries, and once that it is restored", async () => {
    const clock = new ManualClock();
    let isAway = false;
    let failures = 0;
    const transport = await connect(opened.folder(), clock, watch, {
      readdir: (path) => {
        if (!isAway) return localPrimitives.readdir(path);
        failures++;
        throw Object.assign(new Error("planted"), { code: "EIO" });
      },
    });
    const heard = await Heard.at(transport, GPU);
    isAway = true;
    await passes(clock, 500, () => failures >= 4);
    isAway = false;
    await passes(clock, 500, () => heard.restored === 1);
    await transport.send(GPU, "ping-1", "{}", FAST);
    await passes(clock, 50, () => heard.ids.length === 1);
    expect([heard.interruptions.length, heard.restored]).toEqual([1, 1]);
  });
});

test("a share that is mounted again, on another kind of file system, is examined and watched again", async () => {
  const folder = opened.folder();
  const clock = new ManualClock();
  let isMoved = false;
  const moved = (facts: Facts): Facts => (isMoved ? { ...facts, dev: facts.dev + 1n } : facts);
  const transport = await connect(folder, clock, "auto", {
    // A local disk takes only whole blocks directly, NFS anything.
    open: (path, flags, mode) => localPrimitives.open(path, flags & ~constants.O_DIRECT, mode),
    lstat: async (path) => moved(await localPrimitives.lstat(path)),
    fstat: async (file) => moved(await localPrimitives.fstat(file)),
    stat: async (path) => {
      const facts = await localPrimitives.stat(path);
      return isMoved ? { ...facts, dev: 0n } : facts;
    },
    statfs: async (path) => (isMoved ? NFS : await localPrimitives.statfs(path)),
  });
  const heard = await Heard.at(transport, GPU);
  await transport.send(GPU, "ping-1", "{}", FAST);
  await until(() => heard.ids.length === 1);
  isMoved = true;
  await transport.send(GPU, "ping-2", "{}", FAST);
  expect(transport.description).toBe(`nfs at ${folder.root}`);
  await passes(clock, 50, () => heard.ids.length === 2);
  rmSync(join(folder.root, "gpu_commands", "gpu-1"), { recursive: true });
  await passes(clock, 50, () => readdirSync(join(folder.root, "gpu_commands")).includes("gpu-1"));
  expect(heard.interruptions).toEqual([]);
});

/** What `Heard.at` takes, from a list of handles. */
function at(handles: readonly Transport[], index: number): [Transport, typeof GPU] {
  const handle = handles[index];
  if (handle === undefined) throw new Error(`no handle ${index}`);
  return [handle, GPU];
}
