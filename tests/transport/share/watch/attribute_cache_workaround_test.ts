// src/transport/share/watch/attribute_cache_workaround.ts: the folder of the responses is listed only while a legacy backend may wait.
import { afterEach, expect, test } from "bun:test";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";

const opened = new OpenShares();
afterEach(async () => {
  await opened.close();
});

/** Listings that a server's handle makes, by the folder's name, while nobody asks it anything. */
async function openServer(watch: "local" | "network") {
  const folder = opened.folder();
  const clock = new ManualClock(Date.now());
  const listings = { gpu_commands: 0, gpu_status: 0 };
  const readdir = async (path: string): Promise<string[]> => {
    if (path.endsWith("gpu_commands")) listings.gpu_commands++;
    if (path.endsWith("gpu_status")) listings.gpu_status++;
    return await localPrimitives.readdir(path);
  };
  // Done at once, also as a network's: the clock stands still while the disk is slow.
  const calls = { local: { ...localPrimitives, readdir }, network: { ...localPrimitives, readdir } };
  const options = { create: "always", watch, clock, log: silentLog, listsForLegacyBackends: true } as const;
  const transport = new ShareTransport(folder.root, options, calls);
  opened.keep(transport);
  await transport.connect();
  listings.gpu_status = 0;
  const write = (name: string, ageSeconds: number): void => {
    const path = join(folder.root, "gpu_commands", name);
    writeFileSync(path, "{}");
    const writtenAt = clock.now() / 1000 - ageSeconds;
    utimesSync(path, writtenAt, writtenAt);
  };
  /** Lets the clock go on until so many rounds were begun. */
  const rounds = async (count: number): Promise<void> => {
    const until = listings.gpu_commands + count;
    await passes(clock, 50, () => listings.gpu_commands >= until);
  };
  return { clock, listings, rounds, write };
}

test("lists the responses with each look while a young command is in the shared inbox, and not before or after", async () => {
  const { clock, listings, rounds, write } = await openServer("network");
  await rounds(3);
  expect(listings.gpu_status).toBe(0);
  write("list_models_1752597600.json", 0);
  const beganAtMs = clock.monotonic();
  await rounds(6);
  // Half a second each; the clock goes on a little while files are looked at.
  expect(clock.monotonic() - beganAtMs).toBeWithin(2_500, 5_000);
  expect(listings.gpu_status).toBeWithin(5, 7);
  await passes(clock, 500, () => clock.monotonic() - beganAtMs > 63_000);
  const after = listings.gpu_status;
  await rounds(3);
  expect(listings.gpu_status - after).toBe(0);
});

test("lists nothing when the share is on a local disk", async () => {
  const { clock, listings, write } = await openServer("local");
  write("list_models_1752597600.json", 0);
  await clock.advance(5_000);
  expect(listings).toEqual({ gpu_commands: 0, gpu_status: 0 });
});
