// The verbs under mirror, on a share that is a folder.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";

let site: MirrorShare;
let client: ClientSite;
beforeEach(() => {
  site = new MirrorShare();
  client = new ClientSite();
});
afterEach(async () => {
  await client.close();
  site[Symbol.dispose]();
});

async function gpuctl(...argv: readonly string[]) {
  return await client.run(["mirror", ...argv, "--share", site.share]);
}

describe("gpuctl mirror", () => {
  test("imports a models folder, lists it, and removes a model again", async () => {
    site.model("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
    expect(await gpuctl("import", site.models)).toMatchObject({ status: 0, stdout: "phi4:latest: copied 13 B\n" });
    expect((await gpuctl("list")).stdout).toMatch(/^MODEL +SIZE +STATE +AGENTS\nphi4:latest +13 B +complete +-\n$/);
    const listed: unknown = JSON.parse((await gpuctl("list", "--json")).stdout);
    expect(listed).toMatchObject({ bytes: 13, models: [{ name: "phi4:latest", size: 13, missing_blobs: 0 }] });
    expect(await gpuctl("rm", "phi4")).toMatchObject({
      status: 0,
      stdout: "removed phi4:latest from the mirror, freed 13 B\n",
    });
    expect(await gpuctl("rm", "phi4")).toMatchObject({ status: 66 });
    expect(await gpuctl("gc")).toMatchObject({ status: 0, stdout: "nothing to remove\n" });
  });

  test("adds a model from its registry, and fetches nothing again", async () => {
    const registry = await Registry.start();
    try {
      const model = registry.offer("m", { layers: [2_000_000] });
      const insecure = ["--insecure-registry", registry.host];
      const added = await gpuctl("add", model, ...insecure);
      expect(added).toMatchObject({ status: 0, stdout: expect.stringMatching(/: fetched 2\.0 MB\n$/) });
      expect((await gpuctl("add", model, ...insecure)).stdout).toBe(`${model} is in the mirror\n`);
      expect(registry.served("m").bytes).toBe(2_000_000);
      const missing = await gpuctl("add", model.replace("/m:", "/other:"), "--json", ...insecure);
      expect(missing.status).toBe(66);
      expect(JSON.parse(missing.stdout)).toMatchObject({ code: "not_found", bytes: null });
      expect((await gpuctl("add", model, "--fetch-rate", "fast")).status).toBe(64);
    } finally {
      await registry.stop();
    }
  });

  test("names the model that could not be fetched, also where the registry's answer does not", async () => {
    const registry = await Registry.start();
    const [here, none] = [registry.offer("m", { layers: [1000] }), `${registry.host}/library/other:latest`];
    await registry.stop();
    const { status, stderr } = await gpuctl("add", here, none, "--insecure-registry", registry.host);
    expect(status).toBe(69);
    for (const model of [here, none]) expect(stderr).toContain(`Cannot fetch ${model} into the mirror: `);
  });

  test("fetches only from the registries of --allow-registry, where it is given", async () => {
    const registry = await Registry.start();
    try {
      const model = registry.offer("m", { layers: [1000] });
      const insecure = ["--insecure-registry", registry.host];
      const refused = await gpuctl("add", "phi4", "--allow-registry", "registry.example", ...insecure);
      expect([refused.status, refused.stderr]).toEqual([
        77,
        expect.stringContaining("Add --allow-registry registry.ollama.ai"),
      ]);
      const added = await gpuctl("add", model, "--allow-registry", "registry.example", ...insecure);
      expect(added).toMatchObject({ status: 0, stdout: expect.stringContaining("fetched") });
      expect((await gpuctl("add", model, "--insecure-registry", "")).status).toBe(64);
    } finally {
      await registry.stop();
    }
  });

  test("counts one blob and one file as such, and has a hint for a mirror that is missing", async () => {
    const { blobs } = site.mirrored("registry.ollama.ai/library/phi4/latest", ["config", "weights"]);
    const [, weights = ""] = blobs.keys();
    rmSync(site.at("blobs", weights.replace(":", "-")));
    expect((await gpuctl("list")).stdout).toContain("incomplete: 1 blob missing");
    const verified = await gpuctl("verify");
    expect([verified.status, verified.stdout]).toEqual([1, expect.stringContaining("gpuctl mirror add or import")]);
    writeFileSync(site.at("blobs", `sha256-${"0".repeat(64)}`), "left");
    utimesSync(site.at("blobs", `sha256-${"0".repeat(64)}`), 0, 0);
    expect((await gpuctl("gc")).stdout).toBe("removed 1 file, freed 4 B\n");
    rmSync(site.at(), { recursive: true });
    for (const verb of ["gc", "verify"]) {
      const { status, stderr } = await gpuctl(verb);
      expect([status, stderr]).toEqual([66, expect.stringContaining("Is the share mounted?")]);
    }
  });

  test.each(["gc", "add phi4"])("mirror %s on NATS alone shows both ways to a mirror", async (verb) => {
    const { status, stderr } = await client.run(["mirror", ...verb.split(" "), "--transport", "nats://127.0.0.1:1"]);
    expect([status, stderr]).toEqual([64, expect.stringMatching(/--share, .*--server URL/)]);
  });

  test("signs a model with the key of this user, and removes the signature with the model", async () => {
    site.mirrored("registry.ollama.ai/library/phi4/latest", ["config"]);
    const keyFile = join(site.root, "signing.key");
    const run = async (...argv: string[]) => await client.run(["mirror", ...argv, "--share", site.share], { keyFile });
    const path = site.at("signatures/registry.ollama.ai/library/phi4/latest.json");
    expect((await run("sign", "phi4")).stdout).toMatch(
      /^signed phi4:latest, [0-9a-f]{12}, with the key [0-9a-f]{16}\n$/,
    );
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ name: "phi4:latest" });
    expect((await run("sign", "qwen3:8b")).status).toBe(66);
    await run("rm", "phi4");
    expect(existsSync(path)).toBe(false);
  });

  test("imports and signs only on the share, and fetches from this machine unless another one is named", async () => {
    for (const verb of [
      ["import", "/models"],
      ["sign", "phi4"],
    ]) {
      const { status, stderr } = await client.run(["mirror", ...verb, "--server", "http://127.0.0.1:1"]);
      expect([status, stderr]).toEqual([64, expect.stringContaining("where the share is mounted")]);
    }
    expect(await gpuctl("fetches")).toMatchObject({ status: 0, stderr: expect.stringContaining("No fetches") });
    expect((await gpuctl("cancel", "1")).status).toBe(66);
    expect((await gpuctl("add", "phi4", "--detach")).stderr).toContain("--detach has no meaning here");
    for (const agents of ["gpu-1,gpu-2", "gpu-*"])
      expect((await gpuctl("add", "phi4", "--agent", agents)).stderr).toContain("A fetch has one agent");
    const rated = ["mirror", "add", "phi4", "--fetch-rate", "1MB/s", "--server", "http://127.0.0.1:1"];
    expect((await client.run(rated)).stderr).toContain("have the same flag");
  });

  test("verify names a damaged blob, which is then the only one that is fetched again", async () => {
    const registry = await Registry.start();
    try {
      const model = registry.offer("m", { layers: [2_000_000, 1_000_000] });
      const insecure = ["--insecure-registry", registry.host];
      await gpuctl("add", model, ...insecure);
      expect(await gpuctl("verify")).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/: 3\.0 MB verified\n$/),
      });
      const large = readdirSync(site.at("blobs")).find((name) => statSync(site.at("blobs", name)).size === 2_000_000);
      const path = site.at("blobs", large ?? "");
      const right = readFileSync(path);
      const file = openSync(path, "r+");
      writeSync(file, "damaged", 1_000_000);
      closeSync(file);
      const found = await gpuctl("verify", model);
      expect(found.status).toBe(1);
      expect(found.stdout).toBe(`${model}: ${large?.replace("-", ":")} is damaged, --remove-damaged removes it\n`);
      expect((await gpuctl("add", model, ...insecure)).stdout).toBe(`${model} is in the mirror\n`);
      const removed = await gpuctl("verify", model, "--remove-damaged", "--json");
      expect([removed.status, JSON.parse(removed.stdout)]).toMatchObject([
        1,
        { model, readable: true, damaged: [large?.replace("-", ":")], missing: [], removed: true },
      ]);
      expect(existsSync(path)).toBe(false);
      const served = registry.served("m").bytes;
      expect((await gpuctl("add", model, ...insecure)).stdout).toContain("fetched 2.0 MB");
      expect(registry.served("m").bytes - served).toBe(2_000_000);
      expect(readFileSync(path).equals(right)).toBe(true);
      expect((await gpuctl("verify")).status).toBe(0);
      expect((await gpuctl("verify", "none:latest")).status).toBe(66);
    } finally {
      await registry.stop();
    }
  });
});
