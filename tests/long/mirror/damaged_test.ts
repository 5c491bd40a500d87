// Blobs that are damaged on the share: no box runs them, and the registry sends only those again.
import { expect, test } from "bun:test";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { Box } from "./boxes.ts";

const BYTES = 5_000_000;
const OTHER_BYTES = 3_000_000;
const LIMIT_MS = 120_000;

test(
  "a box refuses a damaged blob, and takes it once it was fetched again",
  async () => {
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer("damaged", { layers: [BYTES, OTHER_BYTES] });
    await using box = await Box.open(site, "gpu-1", ["--mirror", "only", ...insecure]);
    expect(await site.gpuctl("mirror", "add", model, ...insecure)).toMatchObject({ status: 0 });
    damage(site.share, registry.digests("damaged")[0] ?? "");

    const refused = await site.gpuctl("pull", model, "--all", "--json");
    expect(refused.status).not.toBe(0);
    expect(refused.stdout).toContain("the mirror's copy is damaged");
    expect(site.state(box.name)["models"]).toEqual([]);

    const verified = await site.gpuctl("mirror", "verify", model, "--remove-damaged");
    expect(verified.status).toBe(1);
    expect(verified.stdout).toContain("damaged");
    expect(await site.gpuctl("mirror", "add", model, ...insecure)).toMatchObject({ status: 0 });
    expect(registry.served("damaged").bytes).toBe(BYTES + OTHER_BYTES + BYTES);
    expect(await site.gpuctl("pull", model, "--all", "--json")).toMatchObject({ status: 0 });
    expect(site.state(box.name)["models"]).toMatchObject([{ name: model, digest: registry.manifestDigest("damaged") }]);
  },
  LIMIT_MS,
);

/** Other bytes in its middle, as a disk that fails leaves them: the size stays. */
function damage(share: string, digest: string): void {
  const file = openSync(join(share, "gpu_models", "blobs", digest.replace(":", "-")), "r+");
  writeSync(file, "damaged", BYTES / 2);
  closeSync(file);
}
