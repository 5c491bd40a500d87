// src/courier/index: after any sequence of events the index is what a fresh reading of everything finds.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { silentLog } from "#src/base/log.ts";
import { Fleet, type FleetReader } from "#src/courier/fleet.ts";
import type { FleetView } from "#src/courier/index/indexed_fleet.ts";
import { ScopedFleet } from "#src/courier/index/scoped_fleet.ts";
import { WatchedFleet } from "#src/courier/index/watched_fleet.ts";
import { Lists } from "#src/courier/lists.ts";
import { type Job, newPull, State } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { Transport } from "#src/transport.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const SAMPLE = State.parse(sampleDocument("v2/state.json"));
const AGENTS = ["gpu-1", "gpu-2", "gpu-3", "gpu-10"];

const LOOKS_EACH_MS = 1_000;
const BETWEEN_LOOKS_MS = 300;

const agent = fc.constantFrom(...AGENTS);
const model = fc.record({
  name: fc.constantFrom("phi4:latest", "llama3.2:1b", "gemma3:270m"),
  digest: fc.constantFrom("aa", "bb"),
  size: fc.constantFrom(1, 2),
  modified_at: fc.constantFrom("2026-03-01T10:00:00.1+01:00", "2026-03-01T09:30:00Z", "2026-03-02T00:00:00Z"),
});
const job = fc.record({
  id: fc.constantFrom("job-1", "job-2", "job-3"),
  model: fc.constantFrom("phi4:latest", "llama3.2:1b"),
  state: fc.constantFrom<Job["state"]>("queued", "running", "succeeded"),
  completed_bytes: fc.nat(3),
});
const change = fc.record({
  status: fc.constantFrom<State["status"]>("running", "running", "running", "draining", "stopped"),
  reachable: fc.constantFrom(true, true, false),
  models: fc.option(fc.uniqueArray(model, { maxLength: 3, selector: ({ name, digest }) => `${name} ${digest}` })),
  jobs: fc.uniqueArray(job, { maxLength: 3, selector: ({ id }) => id }),
  loaded: fc.uniqueArray(fc.constantFrom("phi4:latest", "llama3.2:1b"), { maxLength: 2 }),
  clock_offset_ms: fc.constantFrom(0, 0, 5000),
});

type Change = typeof change extends fc.Arbitrary<infer Value> ? Value : never;

type Step =
  | { readonly do: "publish"; readonly agent: string; readonly change: Change }
  | { readonly do: "renew"; readonly agent: string }
  | { readonly do: "remove" | "garbage" | "restart"; readonly agent: string }
  | { readonly do: "wait"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("publish" as const), agent, change }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("renew" as const), agent }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("remove", "garbage", "restart"), agent }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(700, 6_300, 21_700) }) },
);

/** Agents on a memory store, and the index that follows them. */
class World {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  readonly writer: Transport = this.store.open();
  readonly fleet = new WatchedFleet({ transport: this.writer, clock: this.clock, log: silentLog });
  /** Reads everything each time. Kept, because of a document that cannot be read the last one counts. */
  readonly reading = new Fleet(this.writer, this.clock);
  readonly #published = new Map<string, State>();
  #sequence = 0;

  async open(): Promise<void> {
    await this.writer.connect();
    await this.fleet.open();
    await settle();
  }

  async take(each: Step): Promise<void> {
    if (each.do === "publish")
      await this.#publish({ ...this.#stateOf(each.agent), ...fieldsOf(each.agent, each.change) });
    if (each.do === "renew" || each.do === "restart") await this.#renew(each.agent, each.do === "restart");
    if (each.do === "remove") this.#remove(each.agent);
    if (each.do === "garbage") await this.writer.publishState(each.agent, '{"version": 2');
    if (each.do === "wait") await this.clock.advance(each.ms);
    await settle();
  }

  async #renew(name: string, isRestarted: boolean): Promise<void> {
    const state = this.#published.get(name);
    if (state !== undefined)
      await this.#publish(isRestarted ? { ...state, started_at: `again ${this.#sequence}` } : state);
  }

  #remove(name: string): void {
    this.#published.delete(name);
    this.store.removeState(name);
  }

  async #publish(state: State): Promise<void> {
    this.#sequence += 1;
    this.#published.set(state.agent, state);
    await this.writer.publishState(state.agent, JSON.stringify({ ...state, sequence: this.#sequence }));
  }

  #stateOf(name: string): State {
    return { ...SAMPLE, agent: name, truncated: [] };
  }
}

function fieldsOf(name: string, { status, reachable, models, jobs, loaded, clock_offset_ms }: Change): Partial<State> {
  return {
    status,
    ollama: { ...SAMPLE.ollama, reachable },
    models,
    jobs: jobs.map((each) => ({ ...newPull(each.id, name, each.model), ...each, id: `${name}-${each.id}` })),
    running: loaded.map((loadedName) => ({ name: loadedName, size: 1, size_vram: 1, expires_at: "" })),
    clock_offset_ms,
  };
}

/** A part of a list that fails when no agent is there counts as empty. */
async function listed<Value>(list: Promise<Value>, empty: Value): Promise<Value> {
  return await list.catch(() => empty);
}

async function expectSame(index: FleetView, reading: Pick<FleetReader, "read" | "find">): Promise<void> {
  const lists = new Lists(reading, { send: async () => expect.unreachable() });
  const judged = (await reading.read()).map(({ agent: name, online, reason }) => ({ name, online, reason }));
  const away = (entries: readonly { readonly agent: string }[]) => entries.map((entry) => entry.agent).toSorted();
  expect(index.agents.items.map(({ agent: name, online, reason }) => ({ name, online, reason }))).toEqual(judged);

  const models = await listed(lists.models(undefined, {}), { models: [], unavailable: [] });
  if (models.models.length > 0) {
    expect(index.models.items).toEqual(models.models);
    expect(away(index.models.away)).toEqual(away(models.unavailable));
  } else expect(index.models.items).toEqual([]);
  const running = await listed(lists.running(undefined, {}), { running: [], unavailable: [] });
  expect(index.running.items).toEqual(running.running);
  const jobs = await listed(lists.jobs(undefined), { jobs: [], unavailable: [] });
  if (judged.some(({ online }) => online)) {
    const keyOf = ({ agent: name, id }: Job): string => `${name} ${id}`;
    const inOrder = jobs.jobs.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    expect(index.jobs.items.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))).toEqual(inOrder);
    for (const each of jobs.jobs) expect(index.job(each.id ?? "")?.id).toBe(each.id ?? "");
  }
  for (const { name } of judged) expect(index.view(name)?.agent).toBe(name);
}

test("the index equals a fresh reading after any publications, renewals, removals, restarts and silences", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const world = new World();
      await world.open();
      for (const each of steps) {
        await world.take(each);
        // Silence is found by a look, as of its beginning.
        await world.clock.advance(LOOKS_EACH_MS - (world.clock.monotonic() % LOOKS_EACH_MS));
        await expectSame(world.fleet.index, world.reading);
        await world.clock.advance(BETWEEN_LOOKS_MS);
      }
      await world.fleet.close();
      await world.writer.close();
    }),
    { numRuns: 60 },
  );
});

/** What a reading finds of some agents. */
function only(names: ReadonlySet<string>, reading: Fleet): Pick<FleetReader, "read" | "find"> {
  return {
    read: async () => (await reading.read()).filter((view) => names.has(view.agent)),
    find: async (name) => (names.has(name) ? await reading.find(name) : undefined),
  };
}

test("a scoped fleet equals a fresh reading of its agents, whenever it was opened", async () => {
  const names = new Set(["gpu-1", "gpu-10", "gpu-none"]);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(10), async (steps, opensAfter) => {
      const world = new World();
      await world.open();
      let scoped: ScopedFleet | undefined;
      for (const [index, each] of steps.entries()) {
        await world.take(each);
        await world.clock.advance(LOOKS_EACH_MS - (world.clock.monotonic() % LOOKS_EACH_MS));
        await world.reading.read();
        if (index >= opensAfter) scoped ??= new ScopedFleet(world.fleet, names);
        if (scoped !== undefined) await expectSame(scoped.index, only(names, world.reading));
        await world.clock.advance(BETWEEN_LOOKS_MS);
      }
      scoped?.close();
      await world.fleet.close();
      await world.writer.close();
    }),
    { numRuns: 60 },
  );
});
