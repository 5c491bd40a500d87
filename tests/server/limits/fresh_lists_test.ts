// How many callers share one list that the agents are asked for.
import { expect, test } from "bun:test";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { answerAsAgent, modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

test("those who ask at the same time share one list of each agent, under /v1 and /api", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1", { models: [modelOf("phi4:latest")] });
  const together = async (...paths: readonly string[]) => {
    const before = agent.commands.length;
    const answers = await Promise.all(paths.map(async (path) => await server.call("GET", path)));
    expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 200));
    return agent.commands.slice(before).map(({ command }) => command);
  };
  const all = ["/v1/models?fresh=true", "/v1/models?fresh=true&sort=name", "/api/models?fresh=true"];
  expect(await together(...all, "/api/config/models?fresh=true")).toEqual(["list_models"]);
  const one = "/v1/agents/gpu-1/models?fresh=true";
  expect(await together(one, one, "/v1/models?agent=gpu-1&fresh=true")).toEqual(["list_models"]);
  const running = "/v1/agents/gpu-1/running?fresh=true";
  expect(await together(running, running, running)).toEqual(["list_running"]);
  expect(await together(running)).toEqual(["list_running"]);
});

test("a caller that asks 250 ms later gets a list of its own: it may have changed something in between", async () => {
  const clock = new ManualClock(Date.now());
  await using server = await openServer({ clock });
  let isAnswering = false;
  const agent = await ScriptedAgent.open(server.store, "gpu-1", {
    answer: (command, self) => (isAnswering ? answerAsAgent(command, self) : undefined),
  });
  const list = async () => (await server.call("GET", "/v1/models?fresh=true")).status;
  const early = [list()];
  await until(() => agent.commands.length === 1);
  await clock.advance(249);
  early.push(list());
  await clock.advance(1);
  isAnswering = true;
  expect([await list(), agent.commands.length]).toEqual([200, 2]);
  await clock.advance(5_000);
  expect(await Promise.all(early)).toEqual([504, 504]);
});
