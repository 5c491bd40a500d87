// The registry on loopback: what Ollama needs of it, and nothing for anybody else.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { LoopbackRegistry } from "#src/agent/pulls/mirror/loopback_registry.ts";
import { mirroredBytes } from "#src/agent/pulls/mirror/mirrored_bytes.ts";
import type { ModelBytes } from "#src/agent/pulls/mirror/model_bytes.ts";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { isHelperName } from "#src/transport/mirror/helper_name.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { until } from "#tests/support/until.ts";

const WEIGHTS = "0123456789";

let site: MirrorShare;
let registry: LoopbackRegistry;
let text: string;
let base: string;

beforeEach(async () => {
  site = new MirrorShare();
  ({ text } = site.mirrored("registry.ollama.ai/library/phi4/latest", ["config", WEIGHTS]));
  site.mirrored("registry.ollama.ai/library/other/latest", ["not served"]);
  const model = await site.mirror.find("phi4:latest");
  if (model === null) throw new Error("Not mirrored");
  registry = new LoopbackRegistry({ model: mirroredBytes(site.mirror, model), log: silentLog });
  const [host, namespace, name] = registry.modelName.replace(":latest", "").split("/");
  base = `http://${host}/v2/${namespace}/${name}`;
});

afterEach(async () => {
  await registry.close();
  site[Symbol.dispose]();
});

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(`${base}${path}`, { ...init, redirect: "manual" });
}

const blob = `/blobs/${digestOf(WEIGHTS)}`;

describe("LoopbackRegistry", () => {
  test("serves the manifest byte for byte, under a helper name", async () => {
    expect(isHelperName(registry.modelName)).toBe(true);
    expect(await (await ask("/manifests/latest")).text()).toBe(text);
  });

  test("sends a blob's size for HEAD, and with GET the Location that Ollama takes the data from", async () => {
    const head = await ask(blob, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "10"]);
    const get = await ask(blob);
    expect(new URL(get.headers.get("location") ?? "", base).href).toBe(`${base}${blob}`);
    expect(await get.text()).toBe(WEIGHTS);
  });

  test.each([
    ["bytes=2-4", 206, "234"],
    ["bytes=7-", 206, "789"],
    ["bytes=8-99", 206, "89"],
    ["bytes=10-", 416, ""],
    ["bytes=5-2", 416, ""],
    ["bytes=-3", 416, ""],
    ["bytes=0-1,4-5", 416, ""],
    ["lines=0-1", 416, ""],
  ])("answers the range %s with %d %s", async (range, status, body) => {
    const response = await ask(blob, { headers: { range } });
    expect([response.status, await response.text()]).toEqual([status, body]);
  });

  test.each([
    ["another path", "/v2/", 404],
    ["a blob of another model", `BASE/blobs/${digestOf("not served")}`, 404],
    ["a path that leads upwards", "BASE/blobs/..%2f..%2fmanifests", 404],
    ["another tag", "BASE/manifests/other", 404],
    ["a path with another secret", `/v2/gpu-courier-mirror/${"0".repeat(32)}/manifests/latest`, 404],
  ])("has nothing for %s", async (_, path, status) => {
    const url = new URL(path.replace("BASE", new URL(base).pathname), base);
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([status, ""]);
  });

  test("refuses other methods, and a host name that a page could have given it", async () => {
    expect((await ask(blob, { method: "PUT", body: "x" })).status).toBe(405);
    expect((await ask("/manifests/latest", { headers: { host: "evil.example" } })).status).toBe(403);
  });

  test("refuses a blob that is gone from the share, or has another size", async () => {
    const path = site.at("blobs", digestOf(WEIGHTS).replace(":", "-"));
    writeFileSync(path, "short");
    expect((await ask(blob)).status).toBe(404);
    rmSync(path);
    expect((await ask(blob, { method: "HEAD" })).status).toBe(404);
  });

  test("a client that leaves before the first byte is no failure to read", async () => {
    const model = await site.mirror.find("phi4:latest");
    if (model === null) throw new Error("Not mirrored");
    const state = { begun: 0, ended: 0 };
    // As one of a gpu-server that waits for its turn, and one of a registry whose request ends.
    const codes = ["not_found", "cancelled"] as const;
    const read: ModelBytes["read"] = async function* (_layer, _from, _to, left) {
      const code = codes[state.begun++];
      await systemClock.sleep(20_000, left);
      state.ended += 1;
      if (code !== undefined) throw new CourierError(code, "It ended");
      yield new Uint8Array();
    };
    const warnings: unknown[] = [];
    const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) };
    await using waiting = new LoopbackRegistry({ model: { ...mirroredBytes(site.mirror, model), read }, log });
    const [host, namespace, name] = waiting.modelName.replace(":latest", "").split("/");
    for (const [index] of codes.entries()) {
      const leaving = new AbortController();
      const asked = fetch(`http://${host}/v2/${namespace}/${name}${blob}`, {
        headers: { range: "bytes=1-" },
        signal: leaving.signal,
      });
      await until(() => state.begun > index);
      leaving.abort();
      expect(await Promise.allSettled([asked])).toMatchObject([{ status: "rejected" }]);
      await until(() => state.ended > index);
    }
    expect([waiting.failure, warnings]).toEqual([undefined, []]);
  });

  test("reads no more than its client takes, and closes the file of one that has left", async () => {
    const bytes = 64 << 20;
    const large = site.mirrored("registry.ollama.ai/library/large/latest", ["x".repeat(bytes)]);
    const model = await site.mirror.find("large:latest");
    if (model === null) throw new Error("Not mirrored");
    const [digest = ""] = large.blobs.keys();
    let readBytes = 0;
    let opened = 0;
    const closed: string[] = [];
    const openBlob: typeof site.mirror.openBlob = async (layer) => {
      const file = await site.mirror.openBlob(layer);
      if (file === null) return null;
      opened += 1;
      return Object.assign(Object.create(file), {
        read: async (buffer: Buffer, offset: number, length: number, position: number) => {
          readBytes += length;
          return await file.read(buffer, offset, length, position);
        },
        close: async () => {
          closed.push(layer.digest);
          await file.close();
        },
      });
    };
    const warnings: unknown[] = [];
    const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) };
    await using slow = new LoopbackRegistry({ model: mirroredBytes({ openBlob }, model), log });
    const [host, namespace, name] = slow.modelName.replace(":latest", "").split("/");
    const leaving = new AbortController();
    const response = await fetch(`http://${host}/v2/${namespace}/${name}/blobs/${digest}`, { signal: leaving.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    expect(readBytes).toBe(1);
    await reader?.read();
    await Bun.sleep(300);
    expect(readBytes).toBeLessThan(bytes / 2);
    // As Ollama does once it knows the Location: while the registry reads.
    for (let count = 0; count < 20; count++) {
      const left = new AbortController();
      const asked = await fetch(response.url, { signal: left.signal });
      expect(asked.status).toBe(200);
      left.abort();
    }
    leaving.abort();
    await Bun.sleep(500);
    // Of the first client's, and of the first byte of each.
    expect(opened).toBe(22);
    await until(() => closed.length === opened, 5000);
    expect(new Set(closed)).toEqual(new Set([digest]));
    expect(warnings).toEqual([]);
  });
});
