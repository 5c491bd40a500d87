// What registries have now: how often they are asked, for how long an answer counts, and what is never asked.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { PublishedModels } from "#src/program/registry/published.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const HOUR_MS = 3600_000;

let registry: Registry;
let clock: ManualClock;
beforeEach(async () => {
  registry = await Registry.start();
  clock = new ManualClock();
});
afterEach(async () => {
  await registry.stop();
});

function opened(insecure: readonly string[] = [registry.host]): PublishedModels {
  return new PublishedModels({ allowed: [], insecure, clock });
}

function held(name: string, digest = "old", gotAtMs = 0) {
  return { name, digest, gotAtMs };
}

describe("ask()", () => {
  test("returns the digest and the size of the manifest, or that the registry has no such model", async () => {
    const name = registry.offer("a", { layers: [1000, 20] });
    const answers = await opened().ask([held(name), held(`${registry.host}/library/mine:latest`)]);
    expect(answers.get(name)).toMatchObject({ kind: "manifest", digest: registry.manifestDigest("a") });
    expect(answers.get(`${registry.host}/library/mine:latest`)?.kind).toBe("none");
  });

  test("asks once for a name that many boxes have in two spellings, also when it is asked twice at once", async () => {
    const name = registry.offer("a", { layers: [10] });
    const published = opened();
    const models = [held(name, "x"), held(name, "y"), held(name.replace("library", "LIBRARY"))];
    await Promise.all([published.ask(models), published.ask(models)]);
    expect(registry.manifestRequests("a")).toBe(1);
  });

  test("keeps an answer for 6 hours", async () => {
    const name = registry.offer("a", { layers: [10] });
    const published = opened();
    await published.ask([held(name)]);
    await clock.advance(5.9 * HOUR_MS);
    await published.ask([held(name)]);
    expect(registry.manifestRequests("a")).toBe(1);
    await clock.advance(0.2 * HOUR_MS);
    await published.ask([held(name)]);
    expect(registry.manifestRequests("a")).toBe(2);
  });

  test("asks again after a minute when a box has got another model since, and not when it has the same", async () => {
    const name = registry.offer("a", { layers: [10] });
    const published = opened();
    await published.ask([held(name)]);
    await clock.advance(120_000);
    await published.ask([held(name, registry.manifestDigest("a"), clock.now())]);
    expect(registry.manifestRequests("a")).toBe(1);
    registry.offer("a", { layers: [11] });
    const answers = await published.ask([held(name, registry.manifestDigest("a"), clock.now())]);
    expect(answers.get(name)).toMatchObject({ digest: registry.manifestDigest("a") });
    expect(registry.manifestRequests("a")).toBe(2);
  });

  test("keeps a failure for a minute only", async () => {
    const name = registry.offer("a", { layers: [10] });
    registry.break("a", { kind: "manifest", status: 500 });
    const published = opened();
    expect((await published.ask([held(name)])).get(name)).toMatchObject({
      kind: "unknown",
      reason: `${registry.host} answers 500`,
    });
    registry.break("a", null);
    await published.ask([held(name)]);
    expect(registry.manifestRequests("a")).toBe(1);
    await clock.advance(61_000);
    expect((await published.ask([held(name)])).get(name)?.kind).toBe("manifest");
  });

  test("asks no registry that is not named, wherever a box says that its model is from", async () => {
    const name = registry.offer("a", { layers: [10] });
    const answers = await opened([]).ask([held(name)]);
    expect(answers.get(name)).toMatchObject({ reason: `${registry.host} may not be asked (--allow-registry)` });
    expect(registry.manifestRequests("a")).toBe(0);
  });

  test("asks others although somebody who could ask nobody else has just got no answer", async () => {
    const published = opened([]);
    const name = `${registry.host}/library/a:latest`;
    expect((await published.ask([held(name)])).get(name)?.kind).toBe("unknown");
    const asked: string[] = [];
    const ask = async (of: string) => {
      asked.push(of);
      return await Promise.resolve({ digest: "new", totalBytes: 1, weightsBytes: null });
    };
    const elsewhere = { candidates: () => ["gpu-1"], ask };
    for (const others of [elsewhere, undefined])
      expect((await published.ask([held(name)], others)).get(name)).toMatchObject({ kind: "manifest", digest: "new" });
    expect(asked).toEqual([name]);
  });

  test("does not take that some agents could not ask for the word of others, and asks each once in a minute", async () => {
    const published = opened([]);
    const name = `${registry.host}/library/a:latest`;
    const asked: string[] = [];
    const boxes = (...candidates: readonly string[]) => ({
      candidates: () => candidates,
      ask: async () => {
        asked.push(candidates.join());
        return await Promise.resolve(null);
      },
    });
    const [some, others, all] = [boxes("gpu-1"), boxes("gpu-2"), boxes("gpu-1", "gpu-2")];
    for (const elsewhere of [some, some, others, some, all, undefined])
      expect((await published.ask([held(name)], elsewhere)).get(name)?.kind).toBe("unknown");
    expect(asked).toEqual(["gpu-1", "gpu-2"]);
    await clock.advance(60_000);
    await published.ask([held(name)], all);
    await published.ask([held(name)], some);
    expect(asked).toEqual(["gpu-1", "gpu-2", "gpu-1,gpu-2"]);
  });

  test("asks a registry that does not answer for some names at once, and for no more in that round", async () => {
    const asked: string[] = [];
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (socket) => {
          asked.push("connection");
          socket.end();
        },
      },
    });
    const host = `127.0.0.1:${server.port}`;
    const names = Array.from({ length: 60 }, (_, index) => `${host}/library/m${index}:latest`);
    const answers = await opened([host]).ask(names.map((name) => held(name)));
    server.stop(true);
    expect([...answers.values()].every(({ kind }) => kind === "unknown")).toBe(true);
    expect(answers.size).toBe(60);
    // Bun repeats a request once whose connection ended without an answer.
    expect(asked.length).toBeLessThanOrEqual(16);
  });

  test("takes what is no name of a model for unknown", async () => {
    expect((await opened().ask([held("a b")])).get("a b")).toMatchObject({ kind: "unknown" });
  });
});
