// Agents killed at random under a load of commands: each is answered, and takes effect once. A failure prints its seed:
// SEED=n runs it again.
import { afterAll, expect, test } from "bun:test";
import { makeManifest } from "#sim/ollama/manifest.ts";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Transport } from "#src/transport.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { SeededRandom, seedOfRun } from "#tests/support/random.ts";

const AGENTS = 8;
const SENDERS = 4;
const COMMANDS = 1000;
/** Of one sender at one time. */
const IN_FLIGHT = 3;
const TIMEOUT_MS = 90_000;
const VERBS = ["ping", "list_models", "pull_model", "delete_model"] as const;

interface Task {
  readonly agent: number;
  readonly verb: (typeof VERBS)[number];
  readonly model: string;
}

const site = new ProcessSite();
afterAll(async () => await site.close());

test(`${COMMANDS} commands from ${SENDERS} senders to ${AGENTS} agents that are killed at random: each is answered and done once`, async () => {
  const seed = seedOfRun();
  process.stderr.write(`seed ${seed}\n`);
  const random = new SeededRandom(seed);
  const tasks = Array.from({ length: COMMANDS }, (_, number): Task => {
    return { agent: random.below(AGENTS), verb: random.pick(VERBS), model: `m${number}:latest` };
  });
  const ollamas = await Promise.all(Array.from({ length: AGENTS }, async (_, i) => await ollamaFor(tasks, i)));
  const boxes = ollamas.map((ollama, i) => new Box(i, ollama));
  await Promise.all(boxes.map(async (box) => await box.start()));

  const stop = new AbortController();
  const halves = [boxes.slice(0, AGENTS / 2), boxes.slice(AGENTS / 2)];
  const killing = halves.map(async (half, i) => await killAtRandom(half, new SeededRandom(seed + i + 1), stop.signal));
  const heard = new Map<string, Set<string>>();
  const answers = await Promise.all(
    Array.from({ length: SENDERS }, async (_, sender) => {
      const own = tasks.filter((_task, number) => number % SENDERS === sender);
      return await sendAll(own, boxes, heard);
    }),
  );
  stop.abort();
  const kills = (await Promise.all(killing)).reduce((sum, each) => sum + each, 0);
  // Commands that came back with the last of them are finished too.
  await Promise.all(boxes.map(async (box) => await box.restart()));
  for (const { name } of boxes)
    await until(() => site.list(`gpu_commands/${name}`).length === 0, `${name} has done all`);

  process.stderr.write(`${answers.flat().length} answers, ${kills} kills\n`);
  expect(answers.flat().length).toBe(COMMANDS);
  expect(kills).toBeGreaterThan(10);
  // A reading verb may be done again after a crash; a change is answered with the same response.
  const changing = [...heard.values()].filter((texts) => /\bjob\b|deleted/.test([...texts].join()));
  expect(changing.filter((texts) => texts.size > 1)).toEqual([]);
  expect(changing.length).toBe(tasks.filter(({ verb }) => VERBS.indexOf(verb) >= 2).length);
  for (const [i, box] of boxes.entries()) expect(box.effects()).toEqual(expectedEffects(tasks, i));
}, 170_000);

async function ollamaFor(tasks: readonly Task[], agent: number): Promise<SimulatedOllama> {
  const own = tasks.filter((task) => task.agent === agent);
  const specs = (verb: Task["verb"]) => own.filter((task) => task.verb === verb).map(({ model }) => specOf(model));
  return await site.ollama({
    catalog: specs("pull_model"),
    installed: [specOf("kept:latest"), ...specs("delete_model")],
    bytesPerSecond: 1_000_000,
  });
}

/** After it all: what was deleted and put back is there, what was pulled and removed is not; nothing was fetched twice. */
function expectedEffects(tasks: readonly Task[], agent: number): object {
  const own = tasks.filter((task) => task.agent === agent);
  const deleted = own.filter(({ verb }) => verb === "delete_model").map(({ model }) => model);
  const pulled = own.filter(({ verb }) => verb === "pull_model");
  const fetchedBytes = pulled.reduce((sum, { model }) => sum + makeManifest(specOf(model)).size, 0);
  return { installed: ["kept:latest", ...deleted].toSorted(), fetchedBytes };
}

/** One agent, its Ollama, and what a test does there. */
class Box {
  readonly name: string;
  readonly ollama: SimulatedOllama;
  #agent: Running | undefined;

  constructor(number: number, ollama: SimulatedOllama) {
    this.name = `gpu-${number + 1}`;
    this.ollama = ollama;
  }

  async start(): Promise<void> {
    this.#agent = await site.agent(this.name, this.ollama.url);
  }

  /** Kills the agent and starts it again. */
  async restart(): Promise<void> {
    await this.#agent?.stop("SIGKILL");
    await this.start();
  }

  effects(): object {
    return { installed: this.ollama.installed().toSorted(), fetchedBytes: this.ollama.downloads.fetchedBytes };
  }

  /** Undoes what a command did, so that a second time would show. */
  async undo({ verb, model }: Task): Promise<void> {
    if (verb === "delete_model") {
      if (this.ollama.installed().includes(model)) throw new Error(`${model} is answered and not deleted`);
      this.ollama.install(specOf(model));
    }
    if (verb !== "pull_model") return;
    await until(() => this.ollama.installed().includes(model), `${model} is pulled on ${this.name}`, 30_000);
    await until(() => ended(site.state(this.name), model), `the job of ${model} has ended`, 30_000);
    await fetch(`${this.ollama.url}/api/delete`, { method: "DELETE", body: JSON.stringify({ model }) });
  }
}

async function sendAll(
  tasks: readonly Task[],
  boxes: readonly Box[],
  heard: Map<string, Set<string>>,
): Promise<Task[]> {
  const transport = openTransport(site.share, { create: "never", watch: "auto", clock: systemClock, log: silentLog });
  await transport.connect();
  const courier = new Courier(listening(transport, heard), { sender: "tester", timeoutMs: TIMEOUT_MS });
  const waiting = [...tasks];
  const answered: Task[] = [];
  const lane = async (): Promise<void> => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const box = boxes[task.agent];
      if (box === undefined) throw new Error(`No box ${task.agent}`);
      await courier.request(box.name, { verb: task.verb, modelName: task.model });
      answered.push(task);
      await box.undo(task);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  await courier.close();
  await transport.close();
  return answered;
}

/** Notes every answer that is delivered to a sender, by its id. */
function listening(transport: Transport, heard: Map<string, Set<string>>): Transport {
  const openReplies: Transport["openReplies"] = async (address, wanted, accept) =>
    await transport.openReplies(address, wanted, (reply) => {
      heard.set(reply.id, (heard.get(reply.id) ?? new Set()).add(JSON.stringify(reply.content)));
      return accept(reply);
    });
  return new Proxy(transport, {
    get: (target, key) => {
      if (key === "openReplies") return openReplies;
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** One after the other, each up again before the next: a slow machine kills more rarely. @returns how often */
async function killAtRandom(boxes: readonly Box[], random: SeededRandom, signal: AbortSignal): Promise<number> {
  let kills = 0;
  for (; !signal.aborted; kills++) {
    await random.pick(boxes).restart();
    await systemClock.sleep(random.below(200), signal);
  }
  return kills;
}

function specOf(name: string) {
  return { name, layers: [5000] };
}

function ended(state: Record<string, unknown>, model: string): boolean {
  const jobs: { model: string; ended_at: string | null }[] = JSON.parse(JSON.stringify(state["jobs"]));
  return jobs.some((job) => job.model === model && job.ended_at !== null);
}
