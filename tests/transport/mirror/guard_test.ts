// A share that hangs: what reads the mirror fails after a while, few calls wait for it, and no descriptor is lost.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { systemCode } from "#src/base/errors.ts";
import { listMirror } from "#src/transport/mirror/listing.ts";
import { Mirror } from "#src/transport/mirror/mirror.ts";
import { type Guard, mirrorGuard } from "#src/transport/mirror/reading/guard.ts";
import { callsAtATime } from "#src/transport/share/calls/stall_gate.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { until } from "#tests/support/until.ts";

const WEIGHTS = { digest: digestOf("weights"), bytes: "weights".length };

let site: MirrorShare;
let clock: ManualClock;
let mirror: Mirror;
/** Each call to the share waits for it. */
let hanging: Promise<void>;
let waiting: number;

beforeEach(() => {
  site = new MirrorShare();
  site.mirrored("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
  clock = new ManualClock();
  hanging = Promise.resolve();
  waiting = 0;
  mirror = new Mirror(site.share, hangingGuard());
});
afterEach(() => site[Symbol.dispose]());

/** The program's own guard, around calls to a share that may hang. */
function hangingGuard(): Guard {
  const guard = mirrorGuard(clock);
  const run: Guard["run"] = async (call, options) =>
    await guard.run(async () => {
      waiting += 1;
      await hanging;
      waiting -= 1;
      return await call();
    }, options);
  return { run, opened: async () => await guard.opened() };
}

/** Descriptors of this process that lead to the share. */
function descriptors(): number {
  return readdirSync("/proc/self/fd").filter((fd) => target(fd).startsWith(site.share)).length;
}

function target(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return "";
  }
}

test("whatever reads the mirror is unavailable while its share hangs, and goes on with it", async () => {
  const hung = Promise.withResolvers<void>();
  hanging = hung.promise;
  const reading = Array.from({ length: 40 }, async () => await failure(mirror.find("phi4:latest")));
  for (let second = 0; second < 15; second++) await clock.advance(1000);
  expect((await Promise.all(reading)).map(({ code }) => code)).toEqual(Array.from({ length: 40 }, () => "unavailable"));
  expect(waiting).toBe(callsAtATime("mirror"));
  const name = { host: "registry.ollama.ai", namespace: "library", model: "phi4", tag: "latest" };
  for (const read of [mirror.missing([WEIGHTS]), mirror.openBlob(WEIGHTS), listMirror(mirror)])
    expect(await failure(read)).toMatchObject({ code: "unavailable" });
  expect((await failure(mirror.readSignature(name))).message).toContain("share stalled for 15 s");
  hung.resolve();
  await mirror.guard?.opened();
  expect((await mirror.find("phi4:latest"))?.manifest.totalBytes).toBe("configweights".length);
  await until(() => descriptors() === 0);
});

test("a blob whose file was open when the share hung is closed once the share is back", async () => {
  const blob = await mirror.openBlob(WEIGHTS);
  const buffer = Buffer.alloc(WEIGHTS.bytes);
  expect((await blob?.read(buffer, 0, buffer.length, 0))?.bytesRead).toBe(WEIGHTS.bytes);
  const hung = Promise.withResolvers<void>();
  hanging = hung.promise;
  const read = failure(blob?.read(buffer, 0, buffer.length, 0) ?? Promise.resolve());
  for (let second = 0; second < 15; second++) await clock.advance(1000);
  expect(await read).toMatchObject({ code: "unavailable" });
  await blob?.close();
  expect(descriptors()).toBe(1);
  hung.resolve();
  await until(() => descriptors() === 0);
});

test("callsAtATime() leaves a thread of the pool when the transport and the mirror both hang", () => {
  for (const threads of [3, 4, 8, 16, 64])
    expect(callsAtATime("transport", threads) + callsAtATime("mirror", threads)).toBeLessThan(threads);
  expect([callsAtATime("transport", 16), callsAtATime("mirror", 16)]).toEqual([11, 4]);
  expect([callsAtATime("transport", 1), callsAtATime("mirror", 1)]).toEqual([1, 1]);
});
