// Work that gives each table of the state files and each kind of document content, and what must still be known of it later.
import { expect } from "bun:test";
import { makeManifest } from "#sim/ollama/manifest.ts";
import { until } from "#tests/process/site/site.ts";
import { type BriefJob, brief, type Installation } from "./installation.ts";

const ROUNDS = [1, 2, 3] as const;
export type Round = (typeof ROUNDS)[number];
const MODEL_TYPES = { 1: "vision", 2: "text", 3: "scoring" } as const;
/** Pulled slowly, so that a stop finds it under way. */
const LARGE = spec("large", 4_000_000);
const [SLOW, FAST] = [200_000, 100_000_000];

export const OLLAMA = {
  installed: [spec("phi4"), spec("kept"), ...each("unwanted"), ...each("legacy")],
  catalog: [LARGE, ...each("tiny"), ...each("asked"), ...each("small")],
  bytesPerSecond: FAST,
};
export const AGENT_FLAGS = ["--protect", "kept"];

function spec(name: string, bytes = 20_000) {
  return { name: `${name}:latest`, layers: [bytes, 100] };
}

function each(name: string) {
  return ROUNDS.map((round) => spec(`${name}-${round}`));
}

/** The work that releases have done on an installation so far, round by round. */
export class Rounds {
  readonly ended: BriefJob[] = [];
  readonly #box: Installation;
  readonly #tokens = new Map<string, string>();
  readonly #activeModels: Record<string, string> = {};
  #fetchedBefore = 0;
  #instance: string | undefined;

  constructor(box: Installation) {
    this.#box = box;
  }

  /** Work of every kind that ends, under names of this round. */
  async do(round: Round): Promise<void> {
    const box = this.#box;
    const name = `grafana-${round}`;
    this.#tokens.set(name, await box.token("add", name, "--role", "viewer"));
    const type = MODEL_TYPES[round];
    await box.ask("POST", "/api/config/set-active-model", { model_name: "phi4", model_type: type });
    this.#activeModels[type] = "phi4:latest";
    await this.#pull(`tiny-${round}`, "succeeded");
    await this.#pull(`missing-${round}`, "failed");
    // The server keeps what no agent knows: the refused pull of one that is stopped.
    box.showStoppedAgent("gpu-9");
    this.ended.push(brief(await box.pull("phi4", "gpu-9")));
    await this.#sendCommands(round);
  }

  async beginLarge(): Promise<BriefJob> {
    const { downloads } = this.#box.ollama;
    downloads.bytesPerSecond = SLOW;
    this.#fetchedBefore = downloads.fetchedBytes;
    const { id } = await this.#box.pull("large");
    return brief(await this.#box.jobUntil(id, ({ completed_bytes }) => completed_bytes > 0));
  }

  /** The pull continues where it was: nothing is fetched twice. */
  async finishLarge({ id }: BriefJob): Promise<void> {
    const { downloads } = this.#box.ollama;
    downloads.bytesPerSecond = FAST;
    await this.#end(id, "succeeded");
    expect(downloads.fetchedBytes - this.#fetchedBefore).toBe(makeManifest(LARGE).size);
  }

  /** Everything done before is known and usable. @param underWay the jobs that have not ended */
  async expectKept(...underWay: readonly BriefJob[]): Promise<void> {
    const box = this.#box;
    // A pull is queued until the agent has reached Ollama.
    for (const { id } of underWay) await box.jobUntil(id, ({ state }) => state === "running");
    const byId = (jobs: readonly BriefJob[]) => new Map(jobs.map((job) => [job.id, job]));
    expect(byId(await box.jobs())).toEqual(byId([...this.ended, ...underWay]));
    const { active_models } = await box.ask("GET", "/api/config/models");
    expect(active_models).toEqual(this.#activeModels);
    expect(await box.tokenNames()).toEqual(["gp", "viewer", ...this.#tokens.keys()].toSorted());
    for (const token of this.#tokens.values()) expect(await box.accepts(token)).toBe(true);
    const installed = box.ollama.installed().toSorted();
    await until(async () => Bun.deepEquals(await box.models(), installed), "the server lists what is installed");
    expect(await box.gpuctlModels("--fresh")).toEqual(installed);
    this.#instance ??= box.instance;
    expect(box.instance).toBe(this.#instance);
  }

  /** Each command is sent again, under its id: its response is the recorded one, and Ollama is asked for nothing. */
  async expectNoRepetition(): Promise<void> {
    const { ollama, commands } = this.#box;
    for (const model of [...each("unwanted"), ...each("legacy")]) ollama.install(model);
    for (const { name } of [...each("copied"), ...each("asked"), ...each("small")])
      await fetch(`${ollama.url}/api/delete`, { method: "DELETE", body: JSON.stringify({ model: name }) });
    const changes = () => ["DELETE /api/delete", "POST /api/copy"].map((route) => ollama.counters.requests[route]);
    const before = { installed: ollama.installed(), changes: changes() };
    expect(await commands.repeatAll()).toEqual([]);
    expect({ installed: ollama.installed(), changes: changes() }).toEqual(before);
  }

  async #sendCommands(round: Round): Promise<void> {
    const { commands } = this.#box;
    const id = (what: string) => `${what}_${round}`;
    const remove = { version: 2, verb: "delete_model" } as const;
    const done = [
      await commands.send({ id: id("delete"), ...remove, model: `unwanted-${round}` }),
      await commands.send({ id: id("old_delete"), ...remove, version: 1, model: `legacy-${round}` }),
      await commands.send({
        id: id("copy"),
        version: 2,
        verb: "copy_model",
        model: "phi4",
        destination: `copied-${round}`,
      }),
      await commands.send({ id: id("pull"), version: 2, verb: "pull_model", model: `asked-${round}` }),
      await commands.send({ id: id("old_pull"), version: 1, verb: "pull_model", model: `small-${round}` }),
    ];
    expect(done.map(({ success }) => success)).toEqual(done.map(() => true));
    const refused = await commands.send({ id: id("refused"), ...remove, model: "kept" });
    expect(refused).toMatchObject({ success: false, code: "forbidden" });
    for (const model of [`asked-${round}`, `small-${round}`]) await this.#end(await this.#box.idOf(model), "succeeded");
  }

  async #pull(model: string, state: BriefJob["state"]): Promise<void> {
    await this.#end((await this.#box.pull(model)).id, state);
  }

  async #end(id: string | null, state: BriefJob["state"]): Promise<void> {
    const job = await this.#box.jobUntil(id, ({ ended_at }) => ended_at !== null);
    expect(job).toMatchObject({ state });
    this.ended.push(brief(job));
  }
}
