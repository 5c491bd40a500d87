// Fetching models into the mirror, from a registry that misbehaves.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { Registry } from "#sim/registry/registry.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import type { Layer } from "#src/program/registry/manifest.ts";
import { type Fetched, fetchModel } from "#src/transport/mirror/fetching.ts";
import { HeldFolder } from "#src/transport/mirror/held_folder.ts";
import { Mirror } from "#src/transport/mirror/mirror.ts";
import { PartialBlob, partialName } from "#src/transport/mirror/partial_blob.ts";
import { ratedSource } from "#src/transport/mirror/rated_source.ts";
import { RegistrySource } from "#src/transport/mirror/registry_source.ts";
import { hurriedClock } from "#tests/support/clocks/hurried_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";

const MB = 1_000_000;
const SIZES = [3 * MB, 1000];
const BYTES = 3 * MB + 1000;

let site: MirrorShare;
let registry: Registry;
let model: string;
beforeEach(async () => {
  site = new MirrorShare();
  registry = await Registry.start();
  model = registry.offer("m", { layers: SIZES });
});
afterEach(async () => {
  await registry.stop();
  site[Symbol.dispose]();
});

function insecure(...hosts: readonly string[]): AllowedRegistries {
  return new AllowedRegistries({ agent: "this machine", allowed: [], insecure: hosts });
}

interface Choices {
  readonly signal?: AbortSignal;
  readonly bytesPerSecond?: number;
  readonly onProgress?: (progress: Fetched) => void;
  readonly freeBytes?: number;
  readonly mirror?: Mirror;
  /** After so long without a byte, a connection counts as stalled. */
  readonly silenceMs?: number;
}

async function fetchIt({
  freeBytes = Infinity,
  signal = new AbortController().signal,
  bytesPerSecond,
  onProgress,
  mirror = site.mirror,
  silenceMs = 30_000,
}: Choices = {}): Promise<Fetched> {
  const clock = hurriedClock(20);
  const source = new RegistrySource({ registries: insecure(registry.host), silenceMs });
  return await fetchModel(parseModelName(model), {
    mirror,
    source: ratedSource(source, bytesPerSecond ?? null, clock),
    clock,
    signal,
    onProgress: onProgress ?? (() => undefined),
    roomOf: async () => ({ freeBytes, totalBytes: 20 * MB }),
  });
}

/** Every blob of the mirror has the bytes of its name, and nothing is left over. */
function expectWhole(): void {
  const blobs = readdirSync(site.at("blobs"));
  expect(blobs).toHaveLength(3);
  for (const name of blobs) expect(digestOf(readFileSync(site.at("blobs", name)))).toBe(name.replace("-", ":"));
  expect(readdirSync(site.at(".tmp"))).toEqual([]);
}

/** Stops after so many bytes, as a process that ends. */
async function fetchUpTo(bytes: number): Promise<void> {
  const stop = new AbortController();
  const onProgress = ({ receivedBytes }: Fetched): void => {
    if (receivedBytes >= bytes) stop.abort();
  };
  const error = await failure(fetchIt({ signal: stop.signal, onProgress, bytesPerSecond: 20 * MB }));
  expect(error.code).toBe("cancelled");
}

describe("fetchModel()", () => {
  test("brings a model into the mirror, once", async () => {
    expect(await fetchIt()).toMatchObject({ completedBytes: expect.any(Number) });
    expectWhole();
    expect(registry.served("m").bytes).toBe(BYTES);
    expect((await site.mirror.find(model))?.manifest.layers).toHaveLength(3);
    expect((await fetchIt()).receivedBytes).toBe(0);
    expect(registry.served("m").bytes).toBe(BYTES);
  });

  test("goes on after a stop where it was, and fetches nothing twice but what was on its way", async () => {
    registry.setSpeed("m", 10 * MB);
    await fetchUpTo(MB);
    expect(await site.mirror.find(model)).toBeNull();
    const [partial = ""] = readdirSync(site.at(".tmp"));
    const kept = statSync(site.at(".tmp", partial)).size;
    expect(kept).toBeGreaterThanOrEqual(MB);
    registry.setSpeed("m", Infinity);
    const { receivedBytes, completedBytes, totalBytes } = await fetchIt();
    expect(completedBytes).toBe(totalBytes);
    expect(receivedBytes).toBe(totalBytes - kept);
    expectWhole();
  });

  test("goes on after the connection was cut, or stalled", async () => {
    for (const kind of ["cut", "stall"] as const) {
      registry.break("m", { kind, atByte: 2 * MB });
      let isHealing = false;
      const fetched = fetchIt({
        silenceMs: 500,
        onProgress: ({ receivedBytes }) => {
          if (receivedBytes < 1.9 * MB || isHealing) return;
          isHealing = true;
          setTimeout(() => registry.break("m", null), 50);
        },
      });
      expect((await fetched).receivedBytes).toBeLessThan(1.1 * BYTES);
      expectWhole();
      model = registry.offer("m", { layers: SIZES, content: `after ${kind}` });
      site[Symbol.dispose]();
      site = new MirrorShare();
    }
  });

  test("fetches wrong bytes once more, and then gives up, with nothing left of them", async () => {
    registry.break("m", { kind: "wrong", times: 1 });
    await fetchIt();
    expectWhole();
    model = registry.offer("evil", { layers: [1000] });
    registry.break("evil", { kind: "wrong", times: 2 });
    const error = await failure(fetchIt());
    expect(error.message).toContain("wrong bytes");
    expect(readdirSync(site.at(".tmp"))).toEqual([]);
    expect(await site.mirror.find(model)).toBeNull();
  });

  test("fetches again what was damaged on the share while it was unfinished", async () => {
    await fetchUpTo(MB);
    const [partial = ""] = readdirSync(site.at(".tmp"));
    const path = site.at(".tmp", partial);
    const { mtime, size } = statSync(path);
    writeFileSync(path, Buffer.alloc(size, 1));
    utimesSync(path, mtime, mtime);
    await fetchIt();
    expectWhole();
  });

  test("goes on with what was written in the future, by a clock that was wrong", async () => {
    registry.setSpeed("m", 10 * MB);
    await fetchUpTo(MB);
    registry.setSpeed("m", Infinity);
    const [partial = ""] = readdirSync(site.at(".tmp"));
    const tomorrow = new Date(Date.now() + 86_400_000);
    utimesSync(site.at(".tmp", partial), tomorrow, tomorrow);
    const stop = AbortSignal.timeout(5000);
    expect((await fetchIt({ signal: stop })).receivedBytes).toBeLessThan(BYTES);
    expectWhole();
  });

  test("waits for another fetcher of the same blob, and fetches nothing itself", async () => {
    registry.setSpeed("m", 3 * MB);
    const fetched = await Promise.all([fetchIt(), fetchIt()]);
    expectWhole();
    expect(fetched.map(({ completedBytes, totalBytes }) => totalBytes - completedBytes)).toEqual([0, 0]);
    expect(registry.served("m").bytes).toBeLessThanOrEqual(1.02 * BYTES);
  });

  test("fetches nothing when another fetcher has finished since it looked", async () => {
    class Overtaken extends Mirror {
      #isOvertaken = false;

      override async missing(layers: readonly Layer[]): Promise<readonly Layer[]> {
        const missing = await super.missing(layers);
        if (!this.#isOvertaken && layers.length === 1) {
          this.#isOvertaken = true;
          await fetchIt();
        }
        return missing;
      }
    }
    const { completedBytes } = await fetchIt({ mirror: new Overtaken(site.share) });
    expect(completedBytes).toBeGreaterThanOrEqual(BYTES);
    expectWhole();
    expect(registry.served("m").bytes).toBeLessThanOrEqual(1.02 * BYTES);
  });

  test("ends well when another fetcher, which took it for gone, has put the same file in place", async () => {
    const onProgress = (): void => {
      for (const name of readdirSync(site.at(".tmp"))) {
        const path = site.at(".tmp", name);
        if (statSync(path).size === 3 * MB) renameSync(path, site.at("blobs", name.replace("-partial", "")));
      }
    };
    await fetchIt({ onProgress });
    expectWhole();
    expect(registry.served("m").bytes).toBe(BYTES);
  });

  test("fetches again what was removed meanwhile with another model", async () => {
    await fetchIt();
    const names = readdirSync(site.at("blobs")).map((name) => site.at("blobs", name));
    const [large = "", small = ""] = names.toSorted((a, b) => statSync(b).size - statSync(a).size);
    rmSync(large);
    let receivedBytes = 0;
    const onProgress = (progress: Fetched): void => {
      if (receivedBytes === 0 && progress.receivedBytes > 0) rmSync(small);
      ({ receivedBytes } = progress);
    };
    const { completedBytes, totalBytes } = await fetchIt({ onProgress });
    expect(completedBytes).toBe(totalBytes);
    expect(receivedBytes).toBe(BYTES);
    expectWhole();
  });

  test("waits when another fetcher finishes while it looks whether that one is gone", async () => {
    const layer = { digest: digestOf("x"), bytes: 1 };
    mkdirSync(site.at(".tmp"), { recursive: true });
    const path = site.at(".tmp", partialName(layer));
    writeFileSync(path, "");
    await using temporary = await HeldFolder.openRoot(site.at(".tmp"));
    const look = async (): Promise<null> => {
      rmSync(path);
      return await Promise.resolve(null);
    };
    expect(await PartialBlob.open(Object.assign(temporary, { look }), layer)).toBeNull();
  });

  test("a share without room for it is left alone, unless what is missing fits", async () => {
    const error = await failure(fetchIt({ freeBytes: 4 * MB }));
    expect(error.code).toBe("exhausted");
    expect(error.message).toContain("3.0 MB needed and 1.0 MB in reserve, 4.0 MB free in");
    expect(error.hint).toContain("gpuctl mirror gc");
    expect(registry.served("m").bytes).toBe(0);
    registry.setSpeed("m", 10 * MB);
    await fetchUpTo(MB);
    await fetchIt({ freeBytes: 3.1 * MB });
    expectWhole();
  });

  test("a model that is there already needs no room", async () => {
    await fetchIt();
    expect((await fetchIt({ freeBytes: 0 })).receivedBytes).toBe(0);
  });

  test.each([
    [404, "not_found"],
    [401, "forbidden"],
    [500, "unavailable"],
  ] as const)("status %d of the registry is %s, and nothing is left", async (status, code) => {
    registry.break("m", { kind: "manifest", status });
    expect(await failure(fetchIt())).toMatchObject({ code });
    expect(readdirSync(site.share)).toEqual([]);
  });

  test("a registry that never sends the data is given up, and what came is kept", async () => {
    registry.break("m", { kind: "data", status: 500 });
    expect(await failure(fetchIt())).toMatchObject({ code: "unavailable" });
    expect(readdirSync(site.at(".tmp"))).toHaveLength(1);
  });
});
