// The shared inbox while the agent that serves it is killed, and killed again: no verb is run by two agents, and none
// stays without an answer after its time. A failure prints its seed: SEED=n runs it again.
import { afterAll, expect, test } from "bun:test";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { SeededRandom, seedOfRun } from "#tests/support/random.ts";

const COMMANDS = 200;
const EVERY_MS = 250;
const CHANGE_TTL_S = 50;
const AGENTS = ["gpu-1", "gpu-2", "gpu-3"];

interface Task {
  readonly id: string;
  readonly verb: "pull_model" | "delete_model";
  readonly model: string;
}

const site = new ProcessSite();
afterAll(async () => await site.close());

test(`${COMMANDS} old pulls and deletes, while the serving agent is killed and others take over: none run twice, all answered`, async () => {
  const seed = seedOfRun();
  process.stderr.write(`seed ${seed}\n`);
  const tasks = tasksOf(new SeededRandom(seed));
  const ollamas = await Promise.all(AGENTS.map(async () => await ollamaFor(tasks)));
  const start = async (which: number): Promise<Running> =>
    await site.agent(AGENTS[which] ?? "", ollamas[which]?.url ?? "", ["--change-ttl", String(CHANGE_TTL_S)]);
  const agents = await Promise.all(AGENTS.map(async (_, which) => await start(which)));
  await until(() => serving().join() === "gpu-1", "gpu-1 serves the shared inbox");

  const sending = sendAll(tasks);
  /** Kills an agent with the deletes of a second begun and not done. */
  const kill = async (which: number): Promise<void> => {
    const ollama = ollamas[which];
    if (ollama === undefined) throw new Error(`No agent ${which}`);
    Object.assign(ollama.faults, { answer: "hang", answerTo: "DELETE /api/delete" });
    const deletes = ollama.counters.requests["DELETE /api/delete"] ?? 0;
    await until(() => (ollama.counters.requests["DELETE /api/delete"] ?? 0) > deletes + 1, "two deletes are begun");
    await agents[which]?.stop("SIGKILL");
    ollama.faults.answer = null;
  };
  await until(() => site.list("gpu_status").length > 20, "some are answered", 20_000);
  await kill(0);
  await until(() => site.state("gpu-2")["serves_shared_inbox"] === true, "gpu-2 takes over", 40_000);
  await until(() => site.list("gpu_status").length > 60, "some are answered", 20_000);
  await kill(1);
  await until(() => site.state("gpu-3")["serves_shared_inbox"] === true, "gpu-3 takes over", 40_000);
  // It goes on with what it had begun, and serves again, being the first by name.
  await start(1);
  await sending;
  const left = (): string[] => site.list("gpu_commands").filter((name) => name.endsWith(".json"));
  await until(() => left().length === 0, "none is left", (CHANGE_TTL_S + 20) * 1000);

  const answers = await Promise.all(tasks.map(async (task) => await answerTo(task)));
  const unknown = answers.filter(({ success }) => !success);
  const deletes = deletesOf(ollamas);
  // The pulls that it had started go on. What else it had begun was answered as unknown: that must not be done any more.
  await start(0);
  const doneBy = (task: Task): number => ollamas.filter((ollama) => isDone(task, ollama)).length;
  const succeeded = tasks.filter((_, number) => answers[number]?.["success"] === true);
  await until(() => succeeded.every((task) => doneBy(task) === 1), "all that succeeded is done", 40_000);
  await until(() => serving().join() === "gpu-1", "gpu-1 serves again");
  process.stderr.write(`${answers.length} answers, ${unknown.length} of them unknown outcomes\n`);
  expect(deletesOf(ollamas)).toEqual(deletes);
  expect(unknown.length).toBeGreaterThan(0);
  for (const { error } of unknown) expect(String(error)).toStartWith("The outcome of the command is unknown");
  expect(tasks.filter((task) => doneBy(task) > 1)).toEqual([]);
}, 170_000);

function tasksOf(random: SeededRandom): readonly Task[] {
  return Array.from({ length: COMMANDS }, (_, number): Task => {
    const verb = random.pick(["pull_model", "delete_model"] as const);
    return { id: `${verb}_${number}`, verb, model: `m${number}:latest` };
  });
}

async function ollamaFor(tasks: readonly Task[]): Promise<SimulatedOllama> {
  const specs = (verb: Task["verb"]) =>
    tasks.filter((task) => task.verb === verb).map(({ model }) => ({ name: model, layers: [1000] }));
  return await site.ollama({ catalog: specs("pull_model"), installed: specs("delete_model") });
}

/** As a legacy backend does: in place. */
async function sendAll(tasks: readonly Task[]): Promise<void> {
  for (const { id, verb, model } of tasks) {
    site.write(`gpu_commands/${id}.json`, { command: verb, command_id: id, model_name: model });
    await Bun.sleep(EVERY_MS);
  }
}

async function answerTo({ id }: Task): Promise<Record<string, unknown>> {
  return await site.document(`gpu_status/${id}_response.json`);
}

function isDone({ verb, model }: Task, ollama: SimulatedOllama): boolean {
  return ollama.installed().includes(model) === (verb === "pull_model");
}

/** How many deletes each Ollama was asked for. */
function deletesOf(ollamas: readonly SimulatedOllama[]): readonly (number | undefined)[] {
  return ollamas.map(({ counters }) => counters.requests["DELETE /api/delete"]);
}

function serving(): readonly string[] {
  return AGENTS.filter((name) => site.state(name)["serves_shared_inbox"] === true);
}
