// A box that requires signatures, started as in production: it takes a copy of the mirror only once a key that it trusts has signed it.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { Box } from "./boxes.ts";

const LIMIT_MS = 120_000;

test(
  "a box with --require-signatures changing refuses a copy that nobody signed, and takes the signed one, until it is replaced",
  async () => {
    await using site = await RegistrySite.open();
    const { registry, insecure } = site;
    const model = registry.offer("m", { layers: [100_000] });
    const trustedKeys = join(site.dir, "trusted_keys");
    writeFileSync(trustedKeys, (await site.gpuctl("key")).stdout);
    const signing = ["--trusted-keys", trustedKeys, "--require-signatures", "changing"];
    await using box = await Box.open(site, "gpu-1", ["--mirror", "only", ...insecure, ...signing]);
    expect(await site.gpuctl("mirror", "add", model, ...insecure)).toMatchObject({ status: 0 });

    const unsigned = await site.gpuctl("pull", model, "--all", "--json");
    expect(unsigned.status).not.toBe(0);
    expect(unsigned.stdout).toContain('"forbidden"');
    expect(unsigned.stdout).toContain("The mirror's copy");
    expect(site.state(box.name)["models"]).toEqual([]);

    expect(await site.gpuctl("mirror", "sign", model)).toMatchObject({ status: 0 });
    expect(await site.gpuctl("pull", model, "--all", "--json")).toMatchObject({ status: 0 });
    expect(site.state(box.name)["models"]).toMatchObject([{ name: model, digest: registry.manifestDigest("m") }]);

    registry.offer("m", { layers: [100_000], content: "replaced" });
    expect(await site.gpuctl("mirror", "add", model, ...insecure)).toMatchObject({ status: 0 });
    expect((await site.gpuctl("pull", model, "--all", "--json")).stdout).toContain('"forbidden"');
  },
  LIMIT_MS,
);
