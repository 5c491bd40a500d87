// gpu-server's fetches into the mirror: their order, their ends, and what a restart leaves of them.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Registry } from "#sim/registry/registry.ts";
import { silentLog } from "#src/base/log.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { FetchStore } from "#src/server/models/mirror/fetch_store.ts";
import { Fetches } from "#src/server/models/mirror/fetches.ts";
import { ratedSource } from "#src/transport/mirror/rated_source.ts";
import { RegistrySource } from "#src/transport/mirror/registry_source.ts";
import { removeModel } from "#src/transport/mirror/upkeep.ts";
import { hurriedClock } from "#tests/support/clocks/hurried_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { until } from "#tests/support/until.ts";

const MB = 1_000_000;
const SLOW = 400_000;

let site: MirrorShare;
let registry: Registry;
let database: Database;
let stop: AbortController;
let running: Promise<void>;
const sent: string[] = [];
beforeEach(async () => {
  site = new MirrorShare();
  registry = await Registry.start();
  database = new Database(":memory:", { strict: true });
  stop = new AbortController();
  running = Promise.resolve();
  sent.length = 0;
});
afterEach(async () => {
  stop.abort();
  await running;
  await registry.stop();
  database.close();
  site[Symbol.dispose]();
});

interface Choices {
  readonly bytesPerSecond?: number | null;
  /** How much faster than time its clock runs. */
  readonly factor?: number;
}

/** As one run of gpu-server has them. */
function openFetches({ bytesPerSecond = null, factor = 20 }: Choices = {}): Fetches {
  const clock = hurriedClock(factor);
  const registries = new AllowedRegistries({ agent: "gpu-server", allowed: [], insecure: [registry.host] });
  const plain = new RegistrySource({ registries, silenceMs: 2000 });
  const source = ratedSource(plain, bytesPerSecond, clock);
  const pulls = {
    send: async ({ model, state }: { model: string; state: string }) => void sent.push(`${model} ${state}`),
  };
  return new Fetches({
    store: new FetchStore(database),
    pulls,
    mirror: site.mirror,
    source,
    registries,
    clock,
    log: silentLog,
  });
}

function started(choices?: Choices): Fetches {
  const fetches = openFetches(choices);
  running = fetches.run(stop.signal);
  return fetches;
}

/** The next run begins after it. */
async function stopped(): Promise<void> {
  stop.abort();
  await running;
  stop = new AbortController();
}

const ended = async (fetches: Fetches, id: string): Promise<void> =>
  await until(() => fetches.find(id).finished_at_ms !== null);
const asked = (model: string) => ({ model, requestedBy: "platform" });

describe("add()", () => {
  test("fetches a model, and shows who asked", async () => {
    const fetches = started();
    const { id, state } = fetches.add(asked(registry.offer("m", { layers: [2 * MB] })));
    expect(["queued", "running"]).toContain(state);
    await ended(fetches, id);
    expect(fetches.find(id)).toMatchObject({ state: "succeeded", code: null, error: null, requested_by: "platform" });
    const { completed_bytes, total_bytes } = fetches.find(id);
    expect(completed_bytes).toBe(total_bytes ?? 0);
    expect(completed_bytes).toBeGreaterThan(2 * MB);
    await until(() => sent.length === 1);
    expect(fetches.ended).toEqual({ succeeded: 1, failed: 0, cancelled: 0 });
  });

  test("runs two at a time, in the order in which they were asked for", async () => {
    const fetches = started();
    const names = ["a", "b", "c"].map((name) => registry.offer(name, { layers: [MB], bytesPerSecond: SLOW }));
    const ids = names.map((name) => fetches.add(asked(name)).id);
    await until(() => fetches.find(ids[1] ?? "").completed_bytes > 0);
    expect(fetches.active).toEqual({ queued: 1, running: 2 });
    expect(ids.map((id) => fetches.find(id).state)).toEqual(["running", "running", "queued"]);
    expect(fetches.list().map(({ model }) => model)).toEqual(names.toReversed());
    for (const name of ["a", "b", "c"]) registry.setSpeed(name, Infinity);
    for (const id of ids) await ended(fetches, id);
  });

  test("joins the fetch of the model that is under way, and begins another one after its end", async () => {
    const fetches = started();
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: SLOW });
    const { id } = fetches.add(asked(model));
    expect(fetches.add(asked(model)).id).toBe(id);
    registry.setSpeed("m", Infinity);
    await ended(fetches, id);
    const again = fetches.add(asked(model));
    expect(again.id).not.toBe(id);
    await ended(fetches, again.id);
    expect(registry.served("m").bytes).toBe(MB);
  });

  test("refuses a registry that is not allowed, and more than 100 that wait", async () => {
    const fetches = openFetches();
    const add = async (model: string): Promise<unknown> => fetches.add(asked(model));
    expect((await failure(add("registry.example/library/m:latest"))).code).toBe("forbidden");
    for (let index = 0; index < 100; index++) fetches.add(asked(`${registry.host}/library/m${index}:latest`));
    expect((await failure(add(`${registry.host}/library/one-more:latest`))).code).toBe("exhausted");
    expect(fetches.add(asked(`${registry.host}/library/m7:latest`)).state).toBe("queued");
  });

  test("keeps the last 200 that have ended", async () => {
    const fetches = openFetches();
    for (let index = 0; index < 203; index++)
      await fetches.cancel(fetches.add(asked(`${registry.host}/library/m${index}:latest`)).id);
    expect(fetches.list().length).toBe(201);
  });

  test("keeps one whose pulls are not sent, however many have ended since", async () => {
    const fetches = openFetches();
    const pulls = [{ agent: "gpu-1", force: 0, now: 0, requested_by: null } as const];
    const { id } = await fetches.cancel(fetches.add({ ...asked(`${registry.host}/library/first:latest`), pulls }).id);
    for (let index = 0; index < 203; index++)
      await fetches.cancel(fetches.add(asked(`${registry.host}/library/m${index}:latest`)).id);
    expect(fetches.find(id)).toMatchObject({ state: "cancelled" });
  });
});

describe("run()", () => {
  test("goes on after a restart, and asks the registry only for the rest", async () => {
    const model = registry.offer("m", { layers: [3 * MB, MB], bytesPerSecond: MB });
    const first = started();
    const { id } = first.add({ ...asked(model), pulls: [{ agent: "gpu-1", force: 0, now: 0, requested_by: null }] });
    await until(() => first.find(id).completed_bytes > MB);
    await stopped();
    expect(new FetchStore(database).find(id)).toMatchObject({ state: "running", finished_at_ms: null });
    registry.setSpeed("m", Infinity);
    const second = started();
    await ended(second, id);
    expect(second.find(id)).toMatchObject({ state: "succeeded", requested_by: "platform" });
    // Only the bytes under way at the stop are lost.
    expect(registry.served("m").bytes).toBeLessThan(4 * MB + 300_000);
    await until(() => sent.length === 1);
  });

  test("sends the pulls of a fetch that had ended before it could", async () => {
    const store = new FetchStore(database);
    store.add({ id: "f1", model: "phi4:latest", created_at_ms: 0, requested_by: null });
    store.addPulls("f1", [{ agent: "gpu-1", force: 0, now: 0, requested_by: null }]);
    store.end("f1", { state: "succeeded", code: null, error: null }, 1);
    started();
    await until(() => sent.length === 1);
    expect(sent).toEqual(["phi4:latest succeeded"]);
  });

  test("tries again while the registry cannot be reached, and shows why meanwhile", async () => {
    const model = registry.offer("m", { layers: [MB] });
    registry.break("m", { kind: "manifest", status: 503 });
    const fetches = started();
    const { id } = fetches.add(asked(model));
    await until(() => fetches.find(id).error !== null);
    expect(fetches.find(id)).toMatchObject({ state: "running", code: null, error: expect.stringContaining("503") });
    registry.break("m", null);
    await ended(fetches, id);
    expect(fetches.find(id)).toMatchObject({ state: "succeeded", error: null });
  });

  test("fetches again what was removed with another model meanwhile", async () => {
    const fetches = started();
    const small = registry.offer("small", { layers: [MB], content: "shared" });
    const large = registry.offer("large", { layers: [MB, 2 * MB], content: "shared", bytesPerSecond: SLOW });
    await ended(fetches, fetches.add(asked(small)).id);
    const { id } = fetches.add(asked(large));
    await until(() => fetches.find(id).completed_bytes > MB + 100_000);
    await removeModel(site.mirror, parseModelName(small));
    registry.setSpeed("large", Infinity);
    await ended(fetches, id);
    expect(fetches.find(id)).toMatchObject({ state: "succeeded", error: null });
    expect(registry.served("large").bytes).toBe(3 * MB);
  });

  test("ends with the reason when it does not get anywhere", async () => {
    registry.break(registry.offer("m", { layers: [MB] }) && "m", { kind: "manifest", status: 503 });
    const fetches = started({ factor: 1000 });
    const { id } = fetches.add(asked(`${registry.host}/library/m:latest`));
    const other = fetches.add(asked(`${registry.host}/library/none:latest`)).id;
    for (const each of [id, other]) await ended(fetches, each);
    expect(fetches.find(id)).toMatchObject({
      state: "failed",
      code: "unavailable",
      error: expect.stringContaining("503"),
    });
    expect(fetches.find(other)).toMatchObject({ state: "failed", code: "not_found" });
    expect(fetches.ended.failed).toBe(2);
    await until(() => sent.length === 2);
  });
});

describe("cancel()", () => {
  test("ends a fetch that runs, whose next one goes on from there", async () => {
    const fetches = started();
    const model = registry.offer("m", { layers: [4 * MB], bytesPerSecond: MB });
    const { id } = fetches.add(asked(model));
    await until(() => fetches.find(id).completed_bytes > MB);
    expect(await fetches.cancel(id)).toMatchObject({ state: "cancelled", code: "cancelled" });
    registry.setSpeed("m", Infinity);
    await ended(fetches, fetches.add(asked(model)).id);
    expect(registry.served("m").bytes).toBeLessThan(4 * MB + 300_000);
  });

  test("does not end what is asked for while it stops", async () => {
    const fetches = started();
    const model = registry.offer("m", { layers: [MB], bytesPerSecond: SLOW });
    const { id } = fetches.add(asked(model));
    await until(() => fetches.find(id).completed_bytes > 0);
    const cancelled = fetches.cancel(id);
    const again = fetches.add(asked(model));
    expect(again.id).not.toBe(id);
    expect((await cancelled).state).toBe("cancelled");
    registry.setSpeed("m", Infinity);
    await ended(fetches, again.id);
    expect(fetches.find(again.id).state).toBe("succeeded");
  });

  test("ends a fetch that waits, and again", async () => {
    const fetches = openFetches();
    const { id } = fetches.add(asked(`${registry.host}/library/m:latest`));
    for (let time = 0; time < 2; time++) expect((await fetches.cancel(id)).state).toBe("cancelled");
  });

  test("refuses what has ended, and what never was", async () => {
    const fetches = started();
    const { id } = fetches.add(asked(registry.offer("m", { layers: [1000] })));
    await ended(fetches, id);
    expect((await failure(fetches.cancel(id))).code).toBe("conflict");
    expect((await failure(fetches.cancel("none"))).code).toBe("not_found");
  });
});

test("--fetch-rate holds for all fetches together", async () => {
  const fetches = started({ bytesPerSecond: 10 * MB });
  const beganMs = performance.now();
  const ids = ["a", "b"].map((name) => fetches.add(asked(registry.offer(name, { layers: [MB] }))).id);
  for (const id of ids) await ended(fetches, id);
  // The clock is 20 times as fast.
  expect((performance.now() - beganMs) * 20).toBeGreaterThan(190);
});
