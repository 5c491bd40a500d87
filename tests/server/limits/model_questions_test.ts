// How often agents are asked for a model that no state shows.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { mergeModels } from "#src/courier/models.ts";
import { ModelQuestions } from "#src/server/limits/model_questions.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { modelOf } from "#tests/support/sites/scripted_agent.ts";

function open(answer: () => string[]) {
  const asked: (readonly string[] | undefined)[] = [];
  const clock = new ManualClock();
  const merged = () => mergeModels([{ agent: "gpu-1", models: answer().map((name) => modelOf(name)) }]);
  const listModels = async (names: undefined, options: { fresh: boolean }) => {
    asked.push(names);
    expect(options.fresh).toBe(true);
    return { models: merged(), unavailable: [] };
  };
  const describeModel = async (agent: string, name: string) => {
    asked.push([agent]);
    const model = merged().find((each) => each.name === name.toLowerCase());
    if (model === undefined) throw new CourierError("not_found", `Agent ${agent} has no model "${name}"`);
    return { model };
  };
  return { questions: new ModelQuestions({ courier: { listModels, describeModel }, clock }), asked, clock };
}

test("find() asks once per agent and name in 10 s, and shares the answer", async () => {
  const installed: string[] = [];
  const { questions, asked, clock } = open(() => installed);
  const found = await Promise.all([1, 2, 3].map(async () => await questions.find("gpu-1", "b:latest")));
  expect([found.map(({ model }) => model), asked.length]).toEqual([[undefined, undefined, undefined], 1]);
  installed.push("b:latest");
  await clock.advance(9_999);
  expect((await questions.find("gpu-1", "B:latest")).model).toBeUndefined();
  await clock.advance(1);
  expect((await questions.find("gpu-1", "b:latest")).model).toMatchObject({ name: "b:latest", agents: ["gpu-1"] });
  expect(asked).toEqual([["gpu-1"], ["gpu-1"]]);
});

test("find() asks for each name, for each agent and for the fleet", async () => {
  const { questions, asked } = open(() => ["b:latest"]);
  for (const agent of ["gpu-1", "gpu-2", undefined])
    for (const name of ["a:latest", "b:latest"]) await questions.find(agent, name);
  expect(asked).toEqual([["gpu-1"], ["gpu-1"], ["gpu-2"], ["gpu-2"], undefined, undefined]);
});

test("find() shares a failure too, and asks again after 10 s", async () => {
  const { questions, asked, clock } = open(() => {
    throw new CourierError("unavailable", "No agent can answer");
  });
  for (const _ of [1, 2])
    expect(await failure(questions.find("gpu-1", "b:latest"))).toMatchObject({ code: "unavailable" });
  expect(asked).toHaveLength(1);
  await clock.advance(10_000);
  expect(await failure(questions.find("gpu-1", "b:latest"))).toMatchObject({ code: "unavailable" });
  expect(asked).toHaveLength(2);
});

test("find() remembers 1000 questions at most", async () => {
  const { questions, asked } = open(() => []);
  for (let index = 0; index < 1_001; index++) await questions.find("gpu-1", `m${index}:latest`);
  await questions.find("gpu-1", "m1000:latest");
  expect(asked).toHaveLength(1_001);
  await questions.find("gpu-1", "m0:latest");
  expect(asked).toHaveLength(1_002);
});
