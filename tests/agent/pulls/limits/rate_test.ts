// The rate of a box, held by all pulls and connections together in simulated time; and pulls that keep to it.
import { afterEach, describe, expect, test } from "bun:test";
import { LimitedSources, parseSkippedRegistry } from "#src/agent/pulls/limits/limited_sources.ts";
import { mirroredBytes } from "#src/agent/pulls/mirror/mirrored_bytes.ts";
import { systemClock } from "#src/base/clock.ts";
import { RateLimit } from "#src/program/registry/rate_limit.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";
import type { PullSite } from "#tests/support/sites/pull_site.ts";
import { until } from "#tests/support/until.ts";
import { openLimitedBox, sourceOf } from "./limited_box.ts";

const MB = 1_000_000;

const opened: PullSite[] = [];
afterEach(async () => {
  for (const box of opened.splice(0)) await box.close();
});

async function openBox(bytesPerSecond: number): Promise<PullSite> {
  const box = await openLimitedBox(bytesPerSecond);
  opened.push(box);
  return box;
}

class WatchedLimit extends RateLimit {
  /** How many wait until their bytes may pass. */
  waiting = 0;

  override async take(bytes: number, signal?: AbortSignal): Promise<void> {
    this.waiting += 1;
    try {
      await super.take(bytes, signal);
    } finally {
      this.waiting -= 1;
    }
  }
}

describe("RateLimit", () => {
  test.each([10_000, MB, 50 * MB, 1000 * MB])(
    "keeps 64 readers together to %d bytes a second for a minute",
    async (rate) => {
      const clock = new ManualClock();
      const limit = new RateLimit(rate, clock);
      const bytes = Array.from({ length: 64 }, () => 0);
      const over = new AbortController();
      for (const index of bytes.keys()) {
        void (async () => {
          while (!over.signal.aborted) {
            await limit.take(limit.sliceBytes, over.signal);
            bytes[index] = (bytes[index] ?? 0) + limit.sliceBytes;
          }
        })();
      }
      await clock.advance(rate > 100 * MB ? 6_000 : 60_000);
      const seconds = clock.monotonic() / 1000;
      const total = bytes.reduce((sum, each) => sum + each, 0);
      over.abort();
      process.stdout.write(`| ${rate} B/s | ${Math.round(total / seconds)} B/s in ${seconds} simulated s |\n`);
      expect(total / seconds).toBeWithin(rate * 0.95, rate * 1.05);
      // Ollama asks again after 30 s without a byte.
      expect(Math.min(...bytes)).toBeGreaterThan(0);
      expect(Math.max(...bytes) - Math.min(...bytes)).toBeLessThanOrEqual(limit.sliceBytes);
    },
  );

  test("does not make up for a pause, and leaves at once when the signal aborts", async () => {
    const clock = new ManualClock();
    const limit = new RateLimit(MB, clock);
    await clock.advance(60_000);
    let passed = 0;
    const left = new AbortController();
    void (async () => {
      while (!left.signal.aborted) {
        await limit.take(limit.sliceBytes, left.signal);
        passed += limit.sliceBytes;
      }
    })();
    await clock.advance(1000);
    expect(passed).toBeLessThan(1.3 * MB);
    left.abort();
    await Bun.sleep(0);
    const before = passed;
    await clock.advance(10_000);
    expect(passed).toBe(before);
  });
});

describe("pulls within a rate", () => {
  test("succeed, in the time that the rate allows, and fetch nothing twice", async () => {
    const box = await openBox(4 * MB);
    const name = box.registry.offer("limited", { layers: [4 * MB, MB] });
    const beganAtMs = performance.now();
    const job = await box.ended(box.jobs.pull(name));
    expect(job).toMatchObject({ state: "succeeded", model: name });
    // Without a size from the registry it is what was seen of it: a layer that is quick may be missing.
    expect(job.completed_bytes).toBeWithin(4 * MB, 5 * MB + 1000);
    expect(job.completed_bytes).toBe(job.total_bytes ?? 0);
    // 5 MB, of which a quarter of a second may pass at once after a pause. A busy machine may be slower.
    expect((performance.now() - beganAtMs) / 1000).toBeGreaterThanOrEqual(0.99);
    expect(box.fetchedBytes("limited")).toBeLessThanOrEqual(5 * MB * 1.02);
    expect((await box.ollama.listModels()).map(({ name: each, digest }) => [each, digest])).toEqual([
      [name, box.registry.manifestDigest("limited")],
    ]);
    expect(await box.ollama.listHelpers()).toEqual([]);
    expect(JSON.stringify(box.shown)).not.toContain("gpu-courier-mirror");
  });

  test("go on after a restart where they were, and can be cancelled", async () => {
    const box = await openBox(8 * MB);
    const name = box.registry.offer("limited", { layers: [12 * MB] });
    const job = box.jobs.pull(name);
    await box.reaches(job, 4 * MB);
    await box.stop();
    box.reopen();
    box.jobs.start();
    await box.reaches(job, 8 * MB);
    const cancelled = await box.jobs.cancelJob(job.id ?? "");
    expect(cancelled).toMatchObject({ state: "cancelled", code: "cancelled" });
    expect(cancelled.error).toContain("downloaded data remains on disk");
    expect((await box.ended(box.jobs.pull(name))).state).toBe("succeeded");
    expect(box.fetchedBytes("limited")).toBeLessThanOrEqual(12 * MB * 1.1);
    expect(await box.ollama.listHelpers()).toEqual([]);
  });

  test("retry when the registry fails, with its reason and without the helper name", async () => {
    const box = await openBox(20 * MB);
    const name = box.registry.offer("broken", { layers: [4 * MB] });
    box.registry.break("broken", { kind: "data", status: 500 });
    const job = box.jobs.pull(name);
    const notes = (): string => [...box.notes].join("\n");
    await until(() => notes().includes(`${box.registry.host} answers 500`));
    box.registry.break("broken", null);
    expect((await box.ended(job)).state).toBe("succeeded");
    expect(notes()).not.toContain("gpu-courier-mirror");
  });

  test("try wrong bytes once more, as those that come from the registry to Ollama", async () => {
    const box = await openBox(20 * MB);
    const name = box.registry.offer("wrong", { layers: [2 * MB] });
    box.registry.break("wrong", { kind: "wrong", times: Infinity });
    const job = await box.ended(box.jobs.pull(name));
    expect(job).toMatchObject({ state: "failed", code: "unavailable", retries: 1 });
    expect(job.error).toContain("for the second time");
    expect(await box.ollama.listModels()).toEqual([]);
  });

  test("fail at once when the registry has no such model", async () => {
    const box = await openBox(20 * MB);
    const job = await box.ended(box.jobs.pull(`${box.registry.host}/library/nope:latest`));
    expect(job).toMatchObject({ state: "failed", code: "not_found", error: expect.stringContaining("has no ") });
  });
});

describe("LimitedSources", () => {
  test("refuses a registry that wants Ollama's own key, and names the way past the rate", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } }),
    });
    await using _ = { [Symbol.asyncDispose]: async () => await server.stop(true) };
    const host = `127.0.0.1:${server.port}`;
    const limit = new RateLimit(MB, systemClock);
    const deps = { sources: null, registry: sourceOf(host), limit };
    const refusal = await failure(new LimitedSources({ ...deps, skipped: [] }).bytesOf(`${host}/a/b:latest`));
    expect(refusal).toMatchObject({ code: "forbidden", hint: expect.stringContaining(`--pull-rate-skip ${host}`) });
    expect(refusal.message).toContain("within this box's rate");
    const skipping = new LimitedSources({ ...deps, skipped: [parseSkippedRegistry(host)] });
    expect(await skipping.bytesOf(`${host}/a/b:latest`)).toBeNull();
  });

  test.each([
    [true, 5],
    [false, 1],
  ])(
    "reads a part of a blob exactly, from a registry that has ranges: %p, with %d requests",
    async (hasRanges, requests) => {
      const content = Buffer.from(Array.from({ length: 1 << 19 }, (_, index) => (index * 7919) % 251));
      const layer = { digest: digestOf(content), bytes: content.length };
      let asked = 0;
      const server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: ({ url, headers }) => {
          if (url.includes("/manifests/")) {
            return new Response(JSON.stringify({ layers: [{ digest: layer.digest, size: layer.bytes }] }));
          }
          asked += 1;
          const [, from = "0", to = "0"] = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
          if (!hasRanges) return new Response(content);
          return new Response(content.subarray(Number(from), Number(to) + 1), { status: 206 });
        },
      });
      await using _ = { [Symbol.asyncDispose]: async () => await server.stop(true) };
      const host = `127.0.0.1:${server.port}`;
      const limit = new RateLimit(800_000, systemClock);
      const sources = new LimitedSources({ sources: null, registry: sourceOf(host), limit, skipped: [] });
      const bytes = await sources.bytesOf(`${host}/a/b:latest`);
      const [from, to] = [1000, 1000 + 450_000];
      const chunks = bytes?.read(layer, from, to, new AbortController().signal);
      const read: Uint8Array[] = [];
      for await (const chunk of chunks ?? []) read.push(chunk);
      expect(Buffer.concat(read).equals(content.subarray(from, to))).toBe(true);
      expect(asked).toBe(requests);
    },
  );

  test("takes the mirror's copy where there is one, within the rate", async () => {
    using share = new MirrorShare();
    const weights = "x".repeat(3 * MB);
    share.mirrored("registry.ollama.ai/library/phi4/latest", ["config", weights]);
    const copy = await share.mirror.find("phi4:latest");
    if (copy === null) throw new Error("Not mirrored");
    const mirrored = mirroredBytes(share.mirror, copy);
    const clock = new ManualClock();
    const sources = { bytesOf: async () => await Promise.resolve(mirrored) };
    const limit = new WatchedLimit(MB, clock);
    const limitedSources = new LimitedSources({
      sources,
      registry: sourceOf(),
      limit,
      skipped: ["registry.ollama.ai"],
    });
    const bytes = await limitedSources.bytesOf("phi4:latest");
    let read = 0;
    const reading = (async () => {
      const layer = { digest: digestOf(weights), bytes: weights.length };
      const chunks = bytes?.read(layer, 0, weights.length, new AbortController().signal);
      for (let next = await chunks?.next(); next?.done === false; next = await chunks?.next())
        read += next.value.length;
    })();
    /** Time stands still while the share is read. */
    const passed = async (): Promise<void> => {
      await clock.advance(50);
      await until(() => limit.waiting > 0 || read === weights.length);
    };
    for (let second = 1; second <= 2; second++) {
      for (let step = 0; step < 20; step++) await passed();
      expect(read).toBeWithin(second * MB * 0.85, second * MB * 1.3);
    }
    while (read < weights.length) await passed();
    await reading;
    expect(read).toBe(weights.length);
  });

  test.each(["", "http://x", "a/b", "*", "a b"])("parseSkippedRegistry() refuses %p", (text) => {
    expect(() => parseSkippedRegistry(text)).toThrow("as a registry");
  });
});
