// The lists of the state document when they do not fit.
import { expect, test } from "bun:test";
import { StateDocument } from "#src/agent/presence/state_document.ts";
import { type Job, LIMITS, type Model, newPull, type RunningModel, State } from "#src/protocol.ts";
import { verifyDocument } from "#src/trust/signature.ts";
import { PHI4 } from "#tests/support/sites/agent_on_memory.ts";
import { testKey } from "#tests/trust/test_key.ts";

interface Lists {
  readonly models?: readonly Model[] | null;
  readonly running?: readonly RunningModel[];
  readonly jobs?: readonly Job[];
  readonly protect?: readonly string[];
}

/** The document of an agent with these lists, which must be within the limit. */
function documentWith({ models = [], running = [], jobs = [], protect = [] }: Lists): State {
  const text = new StateDocument({
    about: {
      identity: { agent: "gpu-1", instance: "one", host: "here", startedAt: "2026-01-02T03:04:05.000Z" },
      agentVersion: "0.0.0",
      sharedInbox: "auto",
      labels: { site: "berlin" },
      protect,
      platform: { os: "linux", arch: "x64" },
      requireSignatures: "off",
      key: testKey(),
    },
    condition: { status: { status: "running", degraded_reason: null }, servesSharedInbox: false, foreignStates: 0 },
    activity: { processed: 0, refused: 0, lastRefused: [], waiting: 0, underWay: [] },
    monitor: {
      health: { reachable: true, version: "0.32.15", error: null, checked_at: "2026-01-02T03:04:05.000Z" },
      models,
      running,
    },
    jobs: { list: () => jobs },
    fetches: null,
    box: { disk: null, gpus: [], memory: { total_bytes: 2, available_bytes: 1 } },
  }).next(0, 0).text;
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LIMITS.stateBytes);
  expect(verifyDocument("state", text, testKey())).toBe("signed");
  return State.parse(JSON.parse(text));
}

function manyModels(count: number): Model[] {
  return Array.from({ length: count }, (_, i) => ({ ...PHI4, name: `model-${i}:latest` }));
}

test("next() leaves lists that fit as they are", () => {
  const state = documentWith({ models: manyModels(1000) });
  expect([state.models?.length, state.model_count, state.truncated]).toEqual([1000, 1000, []]);
  expect(documentWith({ models: null })).toMatchObject({ models: null, model_count: null, truncated: [] });
});

test("next() fills the document with the newest models", () => {
  const { models: kept, model_count, truncated } = documentWith({ models: manyModels(23_000) });
  expect([model_count, truncated]).toEqual([23_000, ["models"]]);
  expect(kept).toEqual(manyModels(kept?.length ?? 0));
  expect(JSON.stringify(kept).length).toBeGreaterThan(LIMITS.stateBytes - 2_000);
});

test("next() fills the document with models that have details, and cuts the rest", () => {
  const details = { family: "x".repeat(200), families: Array.from({ length: 32 }, () => "y".repeat(200)) };
  for (const model of [
    { details: { family: "phi3", parameter_size: "14.7B" }, capabilities: ["tools"] },
    { details },
  ]) {
    const models = manyModels(3000).map((each) => ({ ...each, ...model }));
    const { models: kept, model_count, truncated } = documentWith({ models });
    expect([model_count, truncated]).toEqual([3000, ["models"]]);
    expect(kept).toEqual(models.slice(0, kept?.length));
    expect(JSON.stringify(kept).length).toBeGreaterThan(LIMITS.stateBytes - 10_000);
  }
});

test("next() shows the patterns of protected models, as many as readers accept", () => {
  expect(documentWith({}).protected).toBeUndefined();
  expect(documentWith({ protect: ["phi4:*", "me/*"] }).protected).toEqual(["phi4:*", "me/*"]);
  const many = Array.from({ length: 300 }, (_, index) => `m${index}`);
  expect(documentWith({ protect: many }).protected).toEqual(many.slice(0, LIMITS.protectedPatterns));
});

test("next() shows the box and the operator's labels", () => {
  expect(documentWith({})).toMatchObject({
    memory: { total_bytes: 2, available_bytes: 1 },
    labels: { site: "berlin" },
    platform: { os: "linux", arch: "x64" },
  });
});

test("next() cuts the models first, then the loaded models", () => {
  const running = Array.from({ length: 3000 }, (_, i) => ({
    name: `m-${i}`,
    size: 1,
    size_vram: 1,
    expires_at: "x".repeat(90),
  }));
  const state = documentWith({ models: manyModels(3000), running, jobs: [newPull("job", "gpu-1", "phi4:latest")] });
  expect(state.truncated).toEqual(["models", "running"]);
  expect([state.models?.length, state.running[0]?.name, state.jobs.length]).toEqual([0, "m-0", 1]);
});

test("next() keeps running jobs, then the last that ended, then queued ones, in their order", () => {
  const job = (id: string, state: Job["state"]): Job => ({ ...newPull(id, "gpu-1", id), state, note: "x".repeat(900) });
  const ended = Array.from({ length: 20 }, (_, i) => job(`ended-${i}`, "succeeded"));
  const queued = Array.from({ length: 299 }, (_, i) => job(`queued-${i}`, "queued"));
  const jobs = [...ended, job("running", "running"), ...queued];
  const state = documentWith({ models: manyModels(10), jobs });
  expect([state.truncated, state.job_count]).toEqual([["models", "jobs"], 320]);
  const kept = state.jobs.map(({ id }) => id);
  expect(kept.length).toBeWithin(150, 320);
  expect(kept).toEqual(jobs.slice(0, kept.length).map(({ id }) => id));
});
