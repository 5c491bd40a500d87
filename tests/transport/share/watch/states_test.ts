// The share's state documents under watch: what a flood of names or bytes does, and what a missing folder means.
import { afterEach, expect, test } from "bun:test";
import { linkSync, readdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import type { StateRecord, Transport } from "#src/transport.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { HeardStates } from "#tests/transport/conformance/heard.ts";

const shares = new OpenShares();
afterEach(async () => await shares.close());

const logged: string[] = [];
const log = {
  ...silentLog,
  warn: (_: object, message: string) => void logged.push(message),
  info: (_: object, message: string) => void logged.push(message),
};

async function openSite(watch: "local" | "network" = "local", clock: Clock = systemClock) {
  logged.length = 0;
  const folder: ShareFolder = shares.folder({ watch, log, clock });
  const transport: Transport = folder.handle();
  shares.keep(transport);
  await transport.connect();
  return { folder, transport, status: join(folder.root, "gpu_status") };
}

/** Hard links to one file cost the writer nothing. */
function flood(status: string, count: number, bytes: number): void {
  const first = join(status, "x-0_status.json");
  writeFileSync(first, "x".repeat(bytes));
  for (let number = 1; number < count; number++) linkSync(first, join(status, `x-${number}_status.json`));
}

function endFlood(status: string): void {
  for (const name of readdirSync(status)) if (name.startsWith("x-")) rmSync(join(status, name));
}

test.each([
  ["names", 20_500, 10],
  ["bytes", 1_100, 256 * 1024],
])(
  "a flood of %s leaves out what is new, never a known agent, and is logged once",
  async (_, count, bytes) => {
    const { transport, status } = await openSite();
    await transport.publishState("z-known", '{"n":1}');
    const heard = await HeardStates.at(transport);
    await until(() => heard.present.size === 1);
    flood(status, count, bytes);
    await until(() => heard.present.size > 1_000);
    await transport.publishState("z-known", '{"n":2}');
    await heard.afterLooks(2);
    expect(heard.contentOf("z-known")).toBe('{"n":2}');
    expect(heard.present.size).toBeLessThan(count + 1);
    const checks = await Array.fromAsync(transport.examine());
    expect(checks.find(({ check }) => check === "states")).toMatchObject({ result: "warning" });
    expect(logged).toEqual(["Too many state documents: some are not read"]);
    endFlood(status);
    await until(() => heard.present.size === 1);
    expect(logged).toEqual(["Too many state documents: some are not read", "All state documents are read again"]);
  },
  60_000,
);

test("a file that is too large to be read takes no other's place, and what is removed beside a flood is gone", async () => {
  const { folder, transport, status } = await openSite();
  for (let number = 0; number < 20; number++) await transport.publishState(`gpu-${number}`, "{}");
  for (const name of ["a", "m", "z"]) {
    writeFileSync(join(status, `${name}_status.json`), "");
    truncateSync(join(status, `${name}_status.json`), 300 * 1024 * 1024);
  }
  expect((await transport.readStates()).length).toBe(23);
  const heard = await HeardStates.at(transport);
  await until(() => heard.present.size === 23);
  flood(status, 20_500, 10);
  await until(() => logged.length > 0);
  await folder.removeState("gpu-7");
  await until(() => !heard.present.has("gpu-7"));
  expect(heard.present.has("gpu-8")).toBe(true);
}, 60_000);

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
