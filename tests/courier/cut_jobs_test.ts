// Jobs of an agent that has more of them than its state document holds.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Courier } from "#src/courier.ts";
import { isEnded } from "#src/protocol.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
let courier: Courier;
let end: PromiseWithResolvers<void>;
/** Its state does not hold this one. */
let hidden = "";
beforeEach(async () => {
  site = new MemorySite();
  await site.platform.connect();
  // The agent does not sign the cut state, which is put in place of its own.
  const agents = new KnownAgents("off");
  courier = new Courier(site.platform, { sender: "tester", timeoutMs: 30_000, clock: site.clock, agents });
  const ollama = new ScriptedOllama();
  end = Promise.withResolvers();
  ollama.pullEnds = end.promise;
  await site.start("gpu-1", { ollama });
  for (const model of ["a", "b", "c"]) hidden = (await courier.pullModel("gpu-1", model)).id ?? "";
  await site.clock.advance(6000);
  const state = await site.state("gpu-1");
  const cut = { ...state, jobs: state.jobs.slice(0, 2), truncated: ["jobs"] };
  await site.platform.publishState("gpu-1", JSON.stringify(cut));
});
afterEach(async () => {
  end.resolve();
  await courier.close();
  await site.close();
});

test("listJobs() asks the agent for the jobs that its state does not hold", async () => {
  const { jobs, unavailable } = await courier.listJobs();
  expect(jobs.map(({ model }) => model)).toEqual(["a:latest", "b:latest", "c:latest"]);
  expect(unavailable).toEqual([]);
});

test("listJobs() returns the jobs of the state, and names the agent, when the agent cannot be asked", async () => {
  site.platform.send = async () => await Promise.reject(new Error("planted"));
  const { jobs, unavailable } = await courier.listJobs();
  expect(jobs.map(({ model }) => model)).toEqual(["a:latest", "b:latest"]);
  expect(unavailable).toMatchObject([{ agent: "gpu-1", code: "internal" }]);
});

test("followJob() follows a job that the state does not hold yet, to its end", async () => {
  const states: string[] = [];
  const followed = (async () => {
    for await (const { state } of courier.followJob("gpu-1", hidden)) states.push(state);
  })();
  await settle();
  expect(states).toEqual(["queued"]);
  end.resolve();
  await site.clock.advance(10_000);
  await followed;
  expect(states.at(-1)).toBe("succeeded");
  expect((await courier.jobHistory("gpu-1")).every(isEnded)).toBe(true);
});
