// Old files in great number on the share: swept while pings go on. The server makes them on its own disk, which is quick.
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../process/site.ts";
import { describeTimes, quantile, tell } from "./guest/figures.ts";
import { ping } from "./guest/ping.ts";
import { FULL, VERSIONS } from "./guest/scope.ts";
import { NfsSite } from "./guest/site.ts";

const LEFTOVERS = FULL ? 3_000 : 600;
/** What is asked for the most of the pings: of few, one hiccup of the emulation would be the 99th percentile. */
const MOST = FULL ? 0.99 : 0.9;
const PINGS = FULL ? 60 : 30;
const SLOWER_AT_MOST = 3;
const TWO_DAYS_S = 2 * 86_400;
const PATIENCE_MS = 300_000;

/** Half responses that nobody read, half files that were never finished. */
function leave(site: NfsSite): void {
  const old = Date.now() / 1000 - TWO_DAYS_S;
  for (const folder of ["gpu_status/.tmp", "gpu_commands"]) mkdirSync(join(site.folder, folder), { recursive: true });
  for (let left = 0; left < LEFTOVERS; left++) {
    const name = left % 2 === 0 ? `list_models_${1_700_000_000 + left}_response.json` : `.tmp/${crypto.randomUUID()}`;
    const path = join(site.folder, "gpu_status", name);
    writeFileSync(path, '{"success": true, "models": []}');
    utimesSync(path, old, old);
  }
}

function lying(site: NfsSite): number {
  const responses = readdirSync(join(site.folder, "gpu_status")).filter((name) => name.endsWith("_response.json"));
  return responses.length + readdirSync(join(site.folder, "gpu_status/.tmp")).length;
}

describe.each(VERSIONS)("NFSv%s", (version) => {
  test(`${LEFTOVERS} leftovers are removed, and pings stay quick`, async () => {
    await using site = await NfsSite.open("leftovers", version);
    leave(site);
    await site.agent("c1", "gpu-1", await site.ollama());
    // The sweep begins 10 s after the start.
    const before = await ping(site, "--count", "30", "--interval", "0.2");
    const all = lying(site);
    const startedMs = performance.now();
    const clean = until(() => lying(site) < 10, "all is swept", PATIENCE_MS);
    const meanwhile = await ping(site, "--count", String(PINGS), "--interval", "0.3");
    await clean;
    const seconds = (performance.now() - startedMs) / 1000;
    tell(`NFSv${version}, with ${all} leftovers: ${describeTimes(before)}`);
    tell(`NFSv${version}, while they are swept, ${seconds.toFixed(0)} s: ${describeTimes(meanwhile)}`);
    expect(all).toBeGreaterThan(LEFTOVERS / 2);
    expect(quantile(meanwhile, MOST)).toBeLessThanOrEqual(SLOWER_AT_MOST * quantile(before, MOST));
  }, 400_000);
});
