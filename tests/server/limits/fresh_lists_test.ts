// How many callers share one list that the agents are asked for.
import { expect, test } from "bun:test";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

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
