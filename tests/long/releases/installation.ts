// One box with its Ollama, and a server: the programs of one release at a time, all on the same state files and share.
import { z } from "zod";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { Job, State } from "#src/protocol.ts";
import { type Finished, type HttpServer, type ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";
import { PRESENT, type Programs } from "./release.ts";
import { SentCommands } from "./sent_commands.ts";

const AGENT = "gpu-1";

/** A job without its figures. */
export type BriefJob = Pick<Job, "id" | "agent" | "model" | "state" | "code">;

export class Installation {
  readonly site: ProcessSite;
  readonly ollama: SimulatedOllama;
  readonly commands: SentCommands;
  #programs = PRESENT;
  #agent: Running | undefined;
  #server: HttpServer | undefined;

  constructor(site: ProcessSite, ollama: SimulatedOllama) {
    this.site = site;
    this.ollama = ollama;
    this.commands = new SentCommands(site, AGENT);
  }

  get server(): HttpServer {
    if (this.#server === undefined) throw new Error("The server was never started");
    return this.#server;
  }

  /** Starts the agent and the server of a release, on what there is; resolves when both are ready. */
  async start(programs: Programs, agentArgs: readonly string[] = []): Promise<void> {
    this.#programs = programs;
    const command = [process.execPath, programs.agent];
    this.#agent = this.site.startAgent(AGENT, this.ollama.url, agentArgs, {}, command);
    await this.#agent.logged('"Ready"');
    const before = this.#server;
    this.#server = await (before === undefined
      ? this.site.server([], programs.server)
      : this.site.restart(before, programs.server));
    await until(async () => await this.#isOnline(), "the server shows the agent with its models");
  }

  /** Stops both: with SIGKILL as a crash does, at any point of their work. */
  async stop(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    await Promise.all([this.#agent?.stop(signal), this.server.process.stop(signal)]);
  }

  /** Runs `token` of gpu-server, which works on the store beside the running server. */
  async token(...args: readonly string[]): Promise<string> {
    const stateDir = this.site.stateDirOfServer(this.server);
    return succeeded(await this.site.run(this.#programs.server, ["token", ...args, "--state-dir", stateDir])).trim();
  }

  async tokenNames(): Promise<string[]> {
    return namesOf(JSON.parse(await this.token("list", "--json")).tokens);
  }

  async accepts(token: string): Promise<boolean> {
    return (await fetch(`${this.server.url}/v1/agents`, { headers: { authorization: `Bearer ${token}` } })).ok;
  }

  /** The document of a route, which must answer 200 or 202. */
  async ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const { status, answer } = await this.server.call(method, path, body);
    if (status !== 200 && status !== 202) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  async pull(model: string, agent = AGENT): Promise<Job> {
    const { jobs } = await this.ask("POST", "/v1/jobs", { kind: "pull", model, agents: [agent] });
    const [job] = Job.array().parse(jobs);
    if (job === undefined) throw new Error(`No job for ${model}`);
    return job;
  }

  /** Publishes the state of an agent that stopped. */
  showStoppedAgent(agent: string): void {
    const state = { ...sampleDocument("v2/state.json"), agent, status: "stopped", jobs: [], job_count: 0, models: [] };
    this.site.write(`gpu_status/${agent}_status.json`, JSON.stringify(state));
  }

  async job(id: string | null): Promise<Job> {
    return Job.parse(await this.ask("GET", `/v1/jobs/${id}`));
  }

  async jobUntil(id: string | null, isReached: (job: Job) => boolean): Promise<Job> {
    return await until(async () => {
      const job = await this.job(id);
      return isReached(job) ? job : undefined;
    }, `job ${id} is that far`);
  }

  async jobs(): Promise<BriefJob[]> {
    return Job.array()
      .parse((await this.ask("GET", "/v1/jobs"))["jobs"])
      .map(brief);
  }

  /** The id of a model's job, once the server shows it. */
  async idOf(model: string): Promise<string | null> {
    const find = async () => (await this.jobs()).find((job) => job.model === `${model}:latest`);
    return (await until(find, `a job of ${model} is there`)).id;
  }

  /** The names that the server lists, sorted. */
  async models(): Promise<string[]> {
    return namesOf((await this.ask("GET", "/v1/models"))["models"]);
  }

  /** The names that `gpuctl list` prints, sorted. */
  async gpuctlModels(...flags: readonly string[]): Promise<string[]> {
    const args = ["--share", this.site.share, "list", "--json", ...flags];
    return namesOf(JSON.parse(succeeded(await this.site.run(this.#programs.gpuctl, args))).models);
  }

  /** The agent's, from its document. */
  get instance(): string {
    return String(this.site.state(AGENT)["instance"]);
  }

  /** Who asked for each job in the agent's document, by its id. */
  get requesters(): ReadonlyMap<string | null, string | null | undefined> {
    const { jobs } = State.parse(this.site.state(AGENT));
    return new Map(jobs.map(({ id, requested_by }) => [id, requested_by]));
  }

  async #isOnline(): Promise<boolean> {
    const { status, answer } = await this.server.call("GET", `/v1/agents/${AGENT}`);
    return status === 200 && answer["status"] === "online" && typeof answer["model_count"] === "number";
  }
}

function namesOf(entries: unknown): string[] {
  return z
    .array(z.object({ name: z.string() }))
    .parse(entries)
    .map(({ name }) => name)
    .toSorted();
}

function succeeded({ status, stdout, stderr }: Finished): string {
  if (status !== 0) throw new Error(`It ended with ${status}: ${stderr}`);
  return stdout;
}

export function brief({ id, agent, model, state, code }: Job): BriefJob {
  return { id, agent, model, state, code };
}
