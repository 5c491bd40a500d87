// The crash matrix: an agent dies at one point of a command and is restarted; exactly one response and one effect must follow.
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { VERBS } from "#src/protocol.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { AGENT, type OpenWire, REPLY_TO, type Wire } from "./wire.ts";

/** A verb in one version, and the steps that its command passes, in order: calls on the agent's parts. */
interface Column {
  readonly verb: "ping" | "list_models" | "pull_model" | "delete_model" | "load_model";
  readonly version: 1 | 2;
  readonly steps: readonly string[];
}

const NOTED = ["ledger.read", "transport.isUnchanged", "ledger.start"];
const RECORDED = ["ledger.respond", "transport.publishState", "transport.respond", "transport.release"];
const PULL = [...NOTED, "ledger.keepJob", ...RECORDED];
const DELETE = [...NOTED, "ollama.deleteModel", "ollama.listModels", ...RECORDED];
const LOAD = [...NOTED, "ollama.loadModel", "ollama.listRunning", ...RECORDED];

/** `receive → claim → started → run → response → publish → answered`. Version 1 lists and refused commands are not removed. */
const COLUMNS: readonly Column[] = [
  { verb: "ping", version: 2, steps: ["receive", "transport.respond", "transport.release"] },
  { verb: "ping", version: 1, steps: ["receive", "transport.respond"] },
  {
    verb: "list_models",
    version: 2,
    steps: ["receive", "ollama.listModels", "transport.respond", "transport.release"],
  },
  { verb: "list_models", version: 1, steps: ["receive", "ollama.listModels", "transport.respond"] },
  { verb: "pull_model", version: 2, steps: ["receive", ...PULL] },
  { verb: "pull_model", version: 1, steps: ["receive", "transport.claim", ...PULL] },
  { verb: "delete_model", version: 2, steps: ["receive", ...DELETE] },
  { verb: "delete_model", version: 1, steps: ["receive", "transport.claim", ...DELETE] },
  { verb: "load_model", version: 2, steps: ["receive", ...LOAD] },
];

/** `before:STEP` and `after:STEP` of each, in order. */
function pointsOf({ steps }: Column): readonly string[] {
  return steps.flatMap((step) => [`before:${step}`, `after:${step}`]);
}

const DIES_WITHIN_MS = 15_000;
/** The exit status of a process that SIGKILL ended. */
const KILLED = 128 + 9;

/** One command, sent to an agent that dies of it. */
class Attempt {
  readonly id: string;
  readonly point: string;
  readonly #model: string;
  readonly #column: Column;
  readonly #wire: Wire;
  readonly #ollama: SimulatedOllama;
  /** The response that was there right after the agent died. */
  #early: string | null = null;

  constructor(wire: Wire, ollama: SimulatedOllama, column: Column, number: number, point: string) {
    this.point = point;
    this.#wire = wire;
    this.#ollama = ollama;
    this.#column = column;
    this.id = `${column.verb}_${number}`;
    this.#model = modelOf(number);
  }

  get #isChanging(): boolean {
    return VERBS[this.#column.verb].changing;
  }

  /** Sends the command to an agent that dies of it; resolves once it is dead. */
  async kills(agent: Running): Promise<void> {
    // Wait for the agent's own first list: the command would share one that is still running.
    await agent.logged("Ollama is reachable");
    if (this.#column.version === 1) {
      const serves = async () => (await this.#wire.state())["serves_shared_inbox"] === true;
      await until(serves, "it serves the shared inbox");
    }
    await this.#send();
    const status = await Promise.race([agent.exited(), Bun.sleep(DIES_WITHIN_MS)]);
    if (status !== KILLED) throw new Error(`${this.id} did not kill it at ${this.point}:\n${agent.log}`);
    this.#early = await this.#answer();
  }

  /** Called after the next start. @returns the fault; null: one response, one effect */
  async outcome(): Promise<string | null> {
    const answer = await until(async () => (await this.#answer()) ?? undefined, `${this.id} is answered`);
    if (this.#isChanging && this.#early !== null && this.#early !== answer) return "answered twice, differently";
    const { success, models } = JSON.parse(answer);
    const isServed = this.#column.verb !== "ping" || this.#column.version === 2;
    if (success !== isServed) return `answered ${answer}`;
    if (this.#column.verb === "list_models" && models.length === 0) return "an empty list";
    return this.#isChanging ? await this.#effect() : null;
  }

  /** Undoes the effect, so that a second one would show at the end. */
  async #effect(): Promise<string | null> {
    const isInstalled = (): boolean => this.#ollama.installed().includes(this.#model);
    if (this.#column.verb === "delete_model") {
      if (isInstalled()) return "not deleted";
      this.#ollama.install({ name: this.#model, layers: [1000] });
      return null;
    }
    if (this.#column.verb === "load_model") {
      if (!(await this.#isLoaded())) return "not loaded";
      const unload = JSON.stringify({ model: this.#model, keep_alive: 0 });
      await fetch(`${this.#ollama.url}/api/generate`, { method: "POST", body: unload });
      return null;
    }
    await until(isInstalled, `${this.#model} is pulled`);
    const jobs = async (): Promise<unknown[]> => ofModel((await this.#wire.state())["jobs"], this.#model);
    const haveEnded = async () => (await jobs()).every((job) => JSON.stringify(job).includes('"succeeded"'));
    await until(haveEnded, "its job has ended");
    const { length } = await jobs();
    if (length !== 1) return `${length} jobs`;
    await fetch(`${this.#ollama.url}/api/delete`, { method: "DELETE", body: JSON.stringify({ model: this.#model }) });
    return null;
  }

  /** At the end: the effect did not happen twice, and the command is gone. */
  async remains(): Promise<string | null> {
    if (!this.#isChanging) return null;
    const shouldBe = this.#column.verb !== "pull_model";
    const isThere = this.#ollama.installed().includes(this.#model);
    if (isThere !== shouldBe || (await this.#isLoaded())) return "done a second time";
    const isRemoved = async () => !(await this.#wire.isThere(this.id, this.#column.version));
    await until(isRemoved, `${this.id} is removed`);
    return null;
  }

  async #isLoaded(): Promise<boolean> {
    const listed = await (await fetch(`${this.#ollama.url}/api/ps`)).text();
    return listed.includes(`"${this.#model}"`);
  }

  async #send(): Promise<void> {
    const { verb, version } = this.#column;
    const model = this.#isChanging ? { model_name: this.#model } : {};
    const common = { command: verb, command_id: this.id, timestamp: "2025-07-15T17:00:00Z", ...model };
    const addressed = version === 1 ? {} : { version, agent: AGENT, reply_to: REPLY_TO, ttl_ms: 60_000 };
    await this.#wire.send(this.id, version, JSON.stringify({ ...common, ...addressed }));
  }

  async #answer(): Promise<string | null> {
    return await this.#wire.answer(this.id, this.#column.version);
  }
}

/**
 * Kills an agent at each of these points, one after the other; each start finds what the last one left.
 * @returns the fault by point; null: one response and one effect
 */
async function runColumn(
  openWire: OpenWire,
  column: Column,
  points: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  const site = new ProcessSite();
  const wire = await openWire(site);
  try {
    const catalog = points.map((_, number) => ({ name: modelOf(number), layers: [1000] }));
    const isPulled = column.verb === "pull_model";
    const installed = isPulled ? [{ name: "kept:latest", layers: [10] }] : catalog;
    const ollama = await site.ollama({ catalog, installed, bytesPerSecond: Infinity });
    const attempts = points.map((point, number) => new Attempt(wire, ollama, column, number, point));
    const results = new Map<string, string | null>();
    for (const [number, attempt] of attempts.entries()) {
      const { point, id } = attempt;
      const agent = await site.crashingAgent(AGENT, ollama.url, { point, id }, wire.agentArgs);
      const before = attempts[number - 1];
      if (before !== undefined) results.set(before.point, await before.outcome());
      await attempt.kills(agent);
    }
    await site.agent(AGENT, ollama.url, wire.agentArgs);
    for (const attempt of attempts.slice(-1)) results.set(attempt.point, await attempt.outcome());
    for (const attempt of attempts) {
      const found = results.get(attempt.point) ?? (await attempt.remains());
      results.set(attempt.point, found);
    }
    return results;
  } finally {
    await site.close();
    await wire.close();
  }
}

function modelOf(number: number): string {
  return `m${number}:latest`;
}

function ofModel(jobs: unknown, model: string): unknown[] {
  return Array.isArray(jobs) ? jobs.filter((job: { model?: unknown }) => job.model === model) : [];
}

/** Runs these points of every column of these versions. @returns the faults in words, and the matrix as text */
export async function runMatrix(
  openWire: OpenWire,
  versions: readonly Column["version"][],
  choose: (points: readonly string[]) => readonly string[],
) {
  const columns = COLUMNS.filter(({ version }) => versions.includes(version));
  const results = new Map<Column, ReadonlyMap<string, string | null>>();
  await Promise.all(
    columns.map(async (column) => results.set(column, await runColumn(openWire, column, choose(pointsOf(column))))),
  );
  const faults = [...results].flatMap(([{ verb, version }, found]) =>
    [...found].filter(([, wrong]) => wrong !== null).map(([point, wrong]) => `${verb} v${version}, ${point}: ${wrong}`),
  );
  return { faults, text: formatMatrix(columns, results) };
}

/** The matrix as text: a row for each step, a column for each verb; `before, after`. */
function formatMatrix(
  columns: readonly Column[],
  results: ReadonlyMap<Column, ReadonlyMap<string, string | null>>,
): string {
  // The longest column comes last, and knows the order of most.
  const steps = [...new Set(columns.toReversed().flatMap((column) => column.steps))];
  const cell = (column: Column, step: string): string => {
    const found = ["before", "after"].map((when) => results.get(column)?.get(`${when}:${step}`));
    return found.map((wrong) => (wrong === undefined ? "-" : wrong === null ? "ok" : "FAIL")).join(" ");
  };
  const rows = steps.map((step) => [step, ...columns.map((column) => cell(column, step))]);
  const head = [
    "killed before, after",
    ...columns.map(({ verb, version }) => `${verb.replace("_models", "").replace("_model", "")} v${version}`),
  ];
  return [head, ...rows]
    .map(([step = "", ...cells]) => `${step.padEnd(24)}${cells.map((text) => text.padEnd(11)).join("")}`.trimEnd())
    .join("\n");
}
