// The crash matrix: an agent dies at one point of a command and is restarted; exactly one response and one effect must follow.
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { ProcessSite, type Running, until } from "#tests/process/site/site.ts";

/** A verb in one version, and the steps that its command passes, in order: calls on the agent's parts. */
interface Column {
  readonly verb: "ping" | "list_models" | "pull_model" | "delete_model";
  readonly version: 1 | 2;
  readonly steps: readonly string[];
}

const NOTED = ["ledger.read", "transport.isUnchanged", "ledger.start"];
const RECORDED = ["ledger.respond", "transport.publishState", "transport.respond", "transport.release"];
const PULL = [...NOTED, "ledger.keepJob", ...RECORDED];
const DELETE = [...NOTED, "ollama.deleteModel", "ollama.listModels", ...RECORDED];

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
];

/** `before:STEP` and `after:STEP` of each, in order. */
function pointsOf({ steps }: Column): readonly string[] {
  return steps.flatMap((step) => [`before:${step}`, `after:${step}`]);
}

const AGENT = "gpu-1";
const REPLY_TO = "tester";
const DIES_WITHIN_MS = 15_000;
/** The exit status of a process that SIGKILL ended. */
const KILLED = 128 + 9;

/** One command, sent to an agent that dies of it. */
class Attempt {
  readonly id: string;
  readonly point: string;
  readonly #model: string;
  readonly #column: Column;
  readonly #site: ProcessSite;
  readonly #ollama: SimulatedOllama;
  /** The response on the share right after the agent died. */
  #early: string | null = null;

  constructor(site: ProcessSite, ollama: SimulatedOllama, column: Column, number: number, point: string) {
    this.point = point;
    this.#site = site;
    this.#ollama = ollama;
    this.#column = column;
    this.id = `${column.verb}_${number}`;
    this.#model = modelOf(number);
  }

  get #isChanging(): boolean {
    return this.#column.verb === "pull_model" || this.#column.verb === "delete_model";
  }

  get #answerPath(): string {
    const folder = this.#column.version === 1 ? "gpu_status" : `gpu_status/${REPLY_TO}`;
    return join(this.#site.share, folder, `${this.id}_response.json`);
  }

  /** Sends the command to an agent that dies of it; resolves once it is dead. */
  async kills(agent: Running): Promise<void> {
    // Wait for the agent's own first list: the command would share one that is still running.
    await agent.logged("Ollama is reachable");
    if (this.#column.version === 1) {
      await until(() => this.#site.state(AGENT)["serves_shared_inbox"] === true, "it serves the shared inbox");
    }
    this.#send();
    const status = await Promise.race([agent.exited(), Bun.sleep(DIES_WITHIN_MS)]);
    if (status !== KILLED) throw new Error(`${this.id} did not kill it at ${this.point}:\n${agent.log}`);
    this.#early = this.#answer();
  }

  /** Called after the next start. @returns the fault; null: one response, one effect */
  async outcome(): Promise<string | null> {
    await until(() => this.#answer() !== null, `${this.id} is answered`);
    const answer = this.#answer() ?? "";
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
    await until(isInstalled, `${this.#model} is pulled`);
    const jobs = (): unknown[] => ofModel(this.#site.state(AGENT)["jobs"], this.#model);
    await until(() => jobs().every((job) => JSON.stringify(job).includes('"succeeded"')), "its job has ended");
    if (jobs().length !== 1) return `${jobs().length} jobs`;
    await fetch(`${this.#ollama.url}/api/delete`, { method: "DELETE", body: JSON.stringify({ model: this.#model }) });
    return null;
  }

  /** At the end: the effect did not happen twice, and the command is gone. */
  async remains(): Promise<string | null> {
    if (!this.#isChanging) return null;
    const shouldBe = this.#column.verb === "delete_model";
    if (this.#ollama.installed().includes(this.#model) !== shouldBe) return "done a second time";
    await until(() => !existsSync(this.#commandPath), `${this.id} is removed`);
    return null;
  }

  get #commandPath(): string {
    const folder = this.#column.version === 1 ? "gpu_commands" : `gpu_commands/${AGENT}`;
    return join(this.#site.share, folder, `${this.id}.json`);
  }

  #send(): void {
    const { verb, version } = this.#column;
    const model = this.#isChanging ? { model_name: this.#model } : {};
    const common = { command: verb, command_id: this.id, timestamp: "2025-07-15T17:00:00Z", ...model };
    const addressed = version === 1 ? {} : { version, agent: AGENT, reply_to: REPLY_TO, ttl_ms: 60_000 };
    this.#site.write(`gpu_commands/.tmp/${this.id}`, { ...common, ...addressed });
    renameSync(join(this.#site.share, `gpu_commands/.tmp/${this.id}`), this.#commandPath);
  }

  #answer(): string | null {
    return existsSync(this.#answerPath) ? readFileSync(this.#answerPath, "utf8") : null;
  }
}

/**
 * Kills an agent at each of these points, one after the other; each start finds what the last one left.
 * @returns the fault by point; null: one response and one effect
 */
async function runColumn(column: Column, points: readonly string[]): Promise<ReadonlyMap<string, string | null>> {
  const site = new ProcessSite();
  try {
    const catalog = points.map((_, number) => ({ name: modelOf(number), layers: [1000] }));
    const isDelete = column.verb === "delete_model";
    const installed = isDelete ? catalog : [{ name: "kept:latest", layers: [10] }];
    const ollama = await site.ollama({ catalog, installed, bytesPerSecond: Infinity });
    site.write(`gpu_status/${REPLY_TO}/.alive`, "");
    const attempts = points.map((point, number) => new Attempt(site, ollama, column, number, point));
    const results = new Map<string, string | null>();
    for (const [number, attempt] of attempts.entries()) {
      const agent = await site.crashingAgent(AGENT, ollama.url, { point: attempt.point, id: attempt.id });
      const before = attempts[number - 1];
      if (before !== undefined) results.set(before.point, await before.outcome());
      await attempt.kills(agent);
    }
    await site.agent(AGENT, ollama.url);
    for (const attempt of attempts.slice(-1)) results.set(attempt.point, await attempt.outcome());
    for (const attempt of attempts) {
      const found = results.get(attempt.point) ?? (await attempt.remains());
      results.set(attempt.point, found);
    }
    return results;
  } finally {
    await site.close();
  }
}

function modelOf(number: number): string {
  return `m${number}:latest`;
}

function ofModel(jobs: unknown, model: string): unknown[] {
  return Array.isArray(jobs) ? jobs.filter((job: { model?: unknown }) => job.model === model) : [];
}

/** Runs these points of every column. @returns the faults in words, and the matrix as text */
export async function runMatrix(choose: (points: readonly string[]) => readonly string[]) {
  const results = new Map<Column, ReadonlyMap<string, string | null>>();
  await Promise.all(
    COLUMNS.map(async (column) => results.set(column, await runColumn(column, choose(pointsOf(column))))),
  );
  const faults = [...results].flatMap(([{ verb, version }, found]) =>
    [...found].filter(([, wrong]) => wrong !== null).map(([point, wrong]) => `${verb} v${version}, ${point}: ${wrong}`),
  );
  return { faults, text: formatMatrix(COLUMNS, results) };
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
