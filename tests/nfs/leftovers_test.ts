// Old files in great number on the share: swept while pings go on. The server makes them on its own disk, which is quick.
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeTimes, quantile, report } from "#tests/nfs/guest/figures.ts";
import { ping } from "#tests/nfs/guest/ping.ts";
import { FULL, VERSIONS } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";

const LEFTOVERS = FULL ? 3_000 : 600;
/** The bound for most of the pings: with so few, one hiccup of the emulation would be the 99th percentile. */
const MOST = FULL ? 0.99 : 0.9;
const PINGS = FULL ? 100 : 30;
const SLOWER_AT_MOST = 3;
/** An agent begins 10 s after its start. */
const SWEPT_AFTER_MS = 9_500;
const TWO_DAYS_S = 2 * 86_400;

/** Half responses that nobody read, half files that were never finished. */
function leave(site: NetworkSite): void {
  const old = Date.now() / 1000 - TWO_DAYS_S;
  for (const folder of ["gpu_status/.tmp", "gpu_commands"]) mkdirSync(join(site.folder, folder), { recursive: true });
  for (let left = 0; left < LEFTOVERS; left++) {
    const name = left % 2 === 0 ? `list_models_${1_700_000_000 + left}_response.json` : `.tmp/${crypto.randomUUID()}`;
    const path = join(site.folder, "gpu_status", name);
    writeFileSync(path, '{"success": true, "models": []}');
    utimesSync(path, old, old);
  }
}

function lying(site: NetworkSite): number {
  const responses = readdirSync(join(site.folder, "gpu_status")).filter((name) => name.endsWith("_response.json"));
  return responses.length + readdirSync(join(site.folder, "gpu_status/.tmp")).length;
}

/** Looks rarely: there is one processor for all. */
async function swept(site: NetworkSite): Promise<void> {
  while (lying(site) >= 10) await Bun.sleep(250);
}

describe.each(FULL ? VERSIONS : VERSIONS.slice(0, 1))("NFSv%s", (version) => {
  test(`${LEFTOVERS} leftovers are removed, and pings stay quick`, async () => {
    await using site = await NetworkSite.open("leftovers", version);
    const ollama = await site.ollama();
    const first = await site.agent("c1", "gpu-1", ollama);
    const before = await ping(site, "--count", String(PINGS), "--interval", "0.3");
    await first.stop();
    leave(site);
    await site.agent("c1", "gpu-1", ollama);
    const startedMs = performance.now();
    await Bun.sleep(SWEPT_AFTER_MS);
    const all = lying(site);
    const clean = swept(site).then(() => (performance.now() - startedMs - SWEPT_AFTER_MS) / 1000);
    const meanwhile = await ping(site, "--count", String(PINGS), "--interval", "0.3");
    const seconds = await clean;
    report(`NFSv${version}, on a clean share: ${describeTimes(before)}`);
    report(`NFSv${version}, while ${all} leftovers are swept, in ${seconds.toFixed(1)} s: ${describeTimes(meanwhile)}`);
    expect(all).toBeGreaterThan(LEFTOVERS / 2);
    expect(quantile(meanwhile, MOST)).toBeLessThanOrEqual(SLOWER_AT_MOST * quantile(before, MOST));
  }, 400_000);
});
