// A share that fills up while a model is fetched: the fetch reports it, keeps what it has, and goes on when there is room.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { until } from "#tests/process/site/site.ts";
import { unfinishedBytes } from "./unfinished.ts";

const SHARE_BYTES = 14_000_000;
const BYTES = 8_000_000;
const CLIENT = resolve(import.meta.dir, "../../../src/client.ts");
/** Both runs see one file system, which ends with them: before the second one there is room again. */
const TWICE =
  'mount -t tmpfs -o "size=$1" tmpfs "$2" && cd "$2" && shift 2; ' +
  '"$@"; echo "first: $?" >&2; ls gpu_models/.tmp >&2; rm filler; "$@"; echo "second: $?" >&2';

test("a fetch into a share that fills up keeps what it has, and goes on from there when there is room", async () => {
  await using site = await RegistrySite.open();
  const { registry, insecure } = site;
  const model = registry.offer("m", { layers: [BYTES], bytesPerSecond: 2_000_000 });
  const add = ["--share", site.share, "mirror", "add", model, ...insecure];
  const inside = ["--map-root-user", "--mount", "sh", "-c", TWICE, "sh", String(SHARE_BYTES), site.share];
  const both = site.start("/usr/bin/unshare", [...inside, process.execPath, CLIENT, ...add]);
  const share = join("/proc", String(both.pid), "root", site.share);
  await until(() => unfinishedBytes(share) > 0.3 * BYTES, "30 % are there");
  fill(join(share, "filler"));
  await both.exited();
  expect(both.log).toContain("ENOSPC; what was fetched is kept for the next time");
  expect(both.log).toContain("gpuctl mirror gc");
  expect(both.log).toMatch(/first: 75\nsha256-[0-9a-f]+-partial\n/);
  expect(both.log).toContain("second: 0");
  const copies = registry.served("m").bytes / BYTES;
  process.stdout.write(`a share that filled up on the way: ${copies.toFixed(3)} copies from the registry\n`);
  expect(copies).toBeLessThanOrEqual(1.05);
}, 120_000);

/** Writes until no byte has room. */
function fill(path: string): void {
  for (let bytes = SHARE_BYTES; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      if (!String(error).includes("ENOSPC")) throw error;
    }
  }
}
