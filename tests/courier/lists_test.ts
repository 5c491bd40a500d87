// src/courier/lists: one job, whichever agent has it.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import type { AgentView } from "#src/courier/agent_view.ts";
import { Lists } from "#src/courier/lists.ts";
import { newPull, type Response, State } from "#src/protocol.ts";
import { failure } from "#tests/support/failure.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

const SAMPLE = State.parse(sampleDocument("v2/state.json"));
/** So many ended jobs that its agent may know more. */
const ENDED = Array.from({ length: 20 }, (_, index) => ({
  ...newPull(`ended-${index}`, "gpu-1", "a:1"),
  state: "failed" as const,
}));
const STATE = { ...SAMPLE, jobs: [...SAMPLE.jobs, ...ENDED] };
const OLD_JOB = { ...newPull("old-job", "gpu-2", "phi4:latest"), state: "succeeded" as const };

function view(agent: string): AgentView {
  const state = { ...STATE, agent };
  return { agent, online: true, reason: null, lastSeenAt: "", silentMs: 0, state, legacyState: null, key: null };
}

/** @param histories the jobs that each agent returns; a promise that never resolves is a slow agent */
function openLists(histories: Readonly<Record<string, Promise<Response>>>): { lists: Lists; asked: string[] } {
  const asked: string[] = [];
  const views = Object.keys(histories).map(view);
  const send = async (agent: string): Promise<Response> => {
    asked.push(agent);
    const response = await histories[agent];
    return response ?? expect.unreachable();
  };
  return {
    asked,
    lists: new Lists(
      { read: async () => views, find: async (name) => views.find(({ agent }) => agent === name) },
      { send },
    ),
  };
}

const never = new Promise<Response>(() => {});

async function jobs(...list: Response["jobs"] & object): Promise<Response> {
  return { success: true, jobs: list };
}

describe("findJob()", () => {
  test("returns a job of a state document and asks no agent", async () => {
    const { lists, asked } = openLists({ "gpu-1": never });
    const id = STATE.jobs[0]?.id ?? expect.unreachable();
    expect(await lists.findJob(id)).toEqual(STATE.jobs[0] ?? expect.unreachable());
    expect(asked).toEqual([]);
  });

  /** Both publish a job of one id; that of gpu-0 comes first. */
  function openForged(histories: Readonly<Record<string, Promise<Response>>> = {}) {
    const publishes = (agent: string): AgentView => {
      const published = [{ ...newPull("taken", agent, "phi4:latest"), state: "running" as const }];
      return { ...view(agent), state: { ...STATE, agent, jobs: agent in histories ? [] : published } };
    };
    const views = ["gpu-0", "gpu-1"].map(publishes);
    const send = async (agent: string) => (await histories[agent]) ?? expect.unreachable();
    return new Lists({ read: async () => views, find: async () => views[0] }, { send });
  }

  test("takes no agent's job for that of another that published the same id", async () => {
    const error = await failure(openForged().findJob("taken"));
    expect([error.code, error.message]).toEqual(["conflict", "Several agents have a job taken: gpu-0, gpu-1"]);
    expect((await openForged().findJob("taken", { sentTo: "gpu-1" })).agent).toBe("gpu-1");
  });

  test("asks the agent that was asked for it, although another publishes its id", async () => {
    const lists = openForged({ "gpu-1": jobs({ ...OLD_JOB, id: "taken", agent: "gpu-1" }) });
    expect(await lists.findJob("taken", { sentTo: "gpu-1" })).toMatchObject({ agent: "gpu-1", state: "succeeded" });
  });

  test("returns a job that an agent still keeps, and does not wait for a slow agent", async () => {
    const { lists, asked } = openLists({ "gpu-1": never, "gpu-2": jobs(OLD_JOB), "gpu-3": jobs() });
    expect(await lists.findJob("old-job")).toEqual(OLD_JOB);
    expect(asked).toEqual(["gpu-1", "gpu-2", "gpu-3"]);
  });

  test("asks no agent of a large fleet whose document has all its jobs", async () => {
    const views = Array.from({ length: 101 }, (_, index) => ({
      ...view(`gpu-${index}`),
      state: { ...SAMPLE, truncated: [] },
    }));
    const reader = { read: async () => views, find: async () => views[0] };
    const lists = new Lists(reader, { send: async () => await never });
    expect((await failure(lists.findJob("another-job"))).message).toBe("No agent has a job another-job");
  });

  test("throws not_found when no agent has it, with the agents that could not be asked", async () => {
    const away = Promise.reject<Response>(new CourierError("unavailable", "away"));
    const { lists } = openLists({ "gpu-1": away, "gpu-2": jobs(OLD_JOB) });
    const error = await failure(lists.findJob("another-job"));
    expect([error.code, error.message]).toEqual(["not_found", "No agent has a job another-job; could not ask gpu-1"]);
    expect((await failure(openLists({}).lists.findJob("x"))).message).toBe("No agent has a job x");
  });
});
