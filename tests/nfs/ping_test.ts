// Agent and sender on different clients: how long a ping takes when nothing happened before, and when it did, and what an
// agent that waits costs.
import { describe, expect, test } from "bun:test";
import { type Calls, callsOf, difference, GetattrTrace, sum } from "./guest/calls.ts";
import { describeTimes, quantile, tell } from "./guest/figures.ts";
import { ping } from "./guest/ping.ts";
import { FULL, VERSIONS } from "./guest/scope.ts";
import { NfsSite } from "./guest/site.ts";

/** The agent looks often for 10 s after a command; only then it is idle. */
const IDLE_APART_S = 12.3;
const IDLE_PINGS = FULL ? 30 : 4;
const IDLE_LIMIT_MS = 1_500;
const WARM_PINGS = FULL ? 50 : 20;
const WARM_MEDIAN_MS = 100;
const COST_S = FULL ? 120 : 40;

describe.each(VERSIONS)("NFSv%s", (version) => {
  test.concurrent(`an idle agent answers each of ${IDLE_PINGS} pings within ${IDLE_LIMIT_MS / 1000} s`, async () => {
    const site = await NfsSite.open("ping", version);
    await site.agent("c1", "gpu-1", await site.ollama());
    await Bun.sleep(IDLE_APART_S * 1000);
    const times = await ping(site, "--count", String(IDLE_PINGS), "--interval", String(IDLE_APART_S));
    tell(`NFSv${version}, idle: ${describeTimes(times)}`);
    await site.close();
    expect(times.length).toBe(IDLE_PINGS);
    expect(quantile(times, 1)).toBeLessThanOrEqual(IDLE_LIMIT_MS);
  }, 600_000);

  test.concurrent("an idle agent costs what it may", async () => {
    const site = await NfsSite.open("idle", version, ["c1"]);
    const trace = new GetattrTrace(`idle-${version}`);
    await site.agent("c1", "gpu-1", await site.ollama());
    await Bun.sleep(IDLE_APART_S * 1000);
    const folders = ["gpu_commands", "gpu_commands/gpu-1", "gpu_status"];
    const sent = (): number[] => folders.map((folder) => trace.count(site, folder));
    const [before, sentBefore, startedMs] = [await callsOf(site, "c1"), sent(), performance.now()];
    await Bun.sleep(COST_S * 1000);
    const calls = difference(await callsOf(site, "c1"), before);
    const seconds = (performance.now() - startedMs) / 1000;
    const rates = sent().map((count, index) => (count - (sentBefore[index] ?? 0)) / seconds);
    tell(`NFSv${version}, calls of an idle agent in 5 s: ${describeCalls(calls, seconds)}`);
    tell(`  GETATTR a second: ${folders.map((folder, i) => `${folder} ${rates[i]?.toFixed(2)}`).join(", ")}`);
    trace.close();
    await site.close();
    expect(sum(calls)).toBeGreaterThan(0);
  }, 300_000);
});

function describeCalls(calls: Calls, seconds: number): string {
  const per5s = (count: number): string => ((count * 5) / seconds).toFixed(1);
  return `${per5s(sum(calls))} (${[...calls].map(([name, count]) => `${name} ${per5s(count)}`).join(", ")})`;
}

describe.each(VERSIONS)("NFSv%s, warm", (version) => {
  test(`the median of ${WARM_PINGS} pings is under ${WARM_MEDIAN_MS} ms`, async () => {
    const site = await NfsSite.open("warm", version);
    await site.agent("c1", "gpu-1", await site.ollama());
    const times = await ping(site, "--count", String(WARM_PINGS), "--interval", "0.2");
    tell(`NFSv${version}, warm: ${describeTimes(times)}`);
    await site.close();
    expect(times.length).toBe(WARM_PINGS);
    expect(quantile(times, 0.5)).toBeLessThan(WARM_MEDIAN_MS);
  }, 120_000);
});
