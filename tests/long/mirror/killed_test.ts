// What fills and uses the mirror is killed with SIGKILL at 30 % of a model, and started again: it goes on from there.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const BYTES = 20_000_000;
/** At the registry: what it has sent and nobody has read does not count much. */
const BYTES_PER_SECOND = 5_000_000;
const KILLED = 128 + 9;
const LIMIT_MS = 120_000;

let site: ProcessSite;
let registry: Registry;
beforeAll(async () => {
  site = new ProcessSite();
  registry = await Registry.start();
});
afterAll(async () => {
  await site.close();
  await registry.stop();
});

test(
  "gpuctl, killed while it fetches, fetches only the rest the next time",
  async () => {
    const model = registry.offer("fetched", { layers: [BYTES, 11_000], bytesPerSecond: BYTES_PER_SECOND });
    const args = ["mirror", "add", model, "--insecure-registry", registry.host];
    const dying = site.start("client.ts", ["--share", site.share, ...args]);
    await until(() => fetchedBytes() > 0.3 * BYTES, "30 % are in the mirror");
    expect(await dying.stop("SIGKILL")).toBe(KILLED);
    expect((await site.gpuctl("mirror", "list", "--json")).stdout).toContain('"models":[]');
    // The next one waits 30 s until it is sure that the first is gone.
    const child = site.start("client.ts", ["--share", site.share, ...args]);
    expect(await child.exited()).toBe(0);
    const copies = registry.served("fetched").bytes / BYTES;
    process.stdout.write(`gpuctl mirror add killed at 30 %: ${copies.toFixed(3)} copies from the registry\n`);
    expect(copies).toBeLessThanOrEqual(1.02);
    expect((await site.gpuctl("mirror", "list", "--json")).stdout).toContain(model);
  },
  LIMIT_MS,
);

function fetchedBytes(): number {
  const folder = join(site.share, "gpu_models", ".tmp");
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
