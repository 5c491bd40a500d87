// The share's state documents under watch: what is delivered, how often it is looked at, and what a missing folder means.
import { afterEach, expect, test } from "bun:test";
import { renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import type { StateRecord, Transport } from "#src/transport.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { HeardStates } from "#tests/transport/conformance/heard.ts";

const shares = new OpenShares();
afterEach(async () => await shares.close());

async function openSite(watch: "local" | "network" = "local", clock: Clock = systemClock) {
  const folder: ShareFolder = shares.folder({ watch, log: silentLog, clock });
  const transport: Transport = folder.handle();
  shares.keep(transport);
  await transport.connect();
  return { folder, transport, status: join(folder.root, "gpu_status") };
}

test("a time that no date can show is bounded", async () => {
  const { transport, status } = await openSite();
  await transport.publishState("gpu-1", "{}");
  utimesSync(join(status, "gpu-1_status.json"), 1e11, 1e11);
  const [record] = await transport.readStates();
  expect(new Date(record?.publishedAtMs ?? Number.NaN).toString()).not.toBe("Invalid Date");
});

test("a file that cannot be read as a document is delivered once, not at each look", async () => {
  const { transport, status } = await openSite();
  writeFileSync(join(status, "gpu-1_status.json"), "x".repeat(300_000));
  const heard = await HeardStates.at(transport);
  await until(() => heard.syncedAtMs.length > 0);
  await heard.afterLooks(3);
  expect(heard.calls.filter((call) => call === "changed gpu-1").length).toBe(1);
  expect(heard.contentOf("gpu-1")).toContain("larger");
});

test.each(["local", "network"] as const)("no document counts as gone while its folder is away (%s)", async (watch) => {
  const { transport, status } = await openSite(watch);
  for (const agent of ["gpu-1", "gpu-2"]) await transport.publishState(agent, "{}");
  const heard = await HeardStates.at(transport);
  await until(() => heard.present.size === 2);
  for (let round = 0; round < 3; round++) {
    renameSync(status, `${status}.away`);
    await until(() => heard.calls.filter((call) => call === "interrupted").length === round + 1);
    renameSync(`${status}.away`, status);
    await until(() => heard.calls.filter((call) => call === "restored").length === round + 1);
  }
  expect(heard.calls.filter((call) => call.startsWith("removed"))).toEqual([]);
});

class SlowWatcher extends HeardStates {
  workMs = 0;

  /** Each document takes 5 s. */
  override changed(record: StateRecord): void {
    this.workMs += 5_000;
    super.changed(record);
  }
}

test("the rest after a look fits its work, but not after a look that read everything once", async () => {
  const rests: number[] = [];
  const heard = new SlowWatcher();
  const sleep: Clock["sleep"] = async (ms, signal) => {
    rests.push(ms);
    await systemClock.sleep(Math.min(ms, 20), signal);
  };
  const clock: Clock = { ...systemClock, sleep, monotonic: () => systemClock.monotonic() + heard.workMs };
  const { transport, status } = await openSite("local", clock);
  const longestMs = (): number => Math.max(...rests.splice(0));

  await transport.publishState("gpu-1", "{}");
  const watch = await transport.watchStates(heard);
  await heard.afterLooks(3);
  expect(longestMs()).toBeLessThan(5_000);

  await transport.publishState("gpu-1", "{}");
  await heard.afterLooks(3);
  expect(longestMs()).toBeGreaterThan(25_000);

  renameSync(status, `${status}.away`);
  await until(() => heard.calls.includes("interrupted"));
  utimesSync(join(`${status}.away`, "gpu-1_status.json"), 1, 1);
  renameSync(`${status}.away`, status);
  await until(() => heard.calls.includes("restored"));
  await heard.afterLooks(2);
  expect(heard.calls.filter((call) => call === "changed gpu-1").length).toBe(3);
  expect(longestMs()).toBeLessThan(5_000);
  await watch.close();
});
