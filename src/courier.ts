// What gpu-server and gpuctl hold: agents, models and jobs over any transport.
import { type Clock, systemClock } from "./base/clock.ts";
import { asCourierError, CourierError } from "./base/errors.ts";
import { type Log, silentLog } from "./base/log.ts";
import { normalModelName, sameModel } from "./base/model_name.ts";
import { signOfLifeMs } from "./base/sightings.ts";
import type { AgentView } from "./courier/agent_view.ts";
import { documentOf, type PruneChoices, pruneArguments, type ShownPruned, type ShownUsage } from "./courier/disk.ts";

import { Fleet, type FleetReader } from "./courier/fleet.ts";
import type { FleetModel } from "./courier/fleet_model.ts";
import { type FindJobOptions, followJob, type ListOptions, Lists } from "./courier/lists.ts";
import { Mailbox, type Request } from "./courier/mailbox/mailbox.ts";
import { verifiedReplies } from "./courier/mailbox/verified_replies.ts";
import { type FleetModels, mergeModels } from "./courier/models.ts";
import { tooLate } from "./courier/refusals.ts";
import { type CommandWaits, fetchOf, type RequestOptions, Requests, type Witness } from "./courier/requests.ts";
import type { FleetRunning } from "./courier/running.ts";
import { type Agents, chooseAgents, findAgent, stillThere } from "./courier/selection.ts";
import { explained, type Unavailable } from "./courier/unavailable.ts";
import {
  type Fetch,
  isEnded,
  type Job,
  type KeepAlive,
  keepAliveSeconds,
  type ModelDetails,
  newPull,
  type PublishedModel,
  type Response,
} from "./protocol.ts";
import type { Forgotten, Transport } from "./transport.ts";
import { KnownAgents } from "./trust/agents/known_agents.ts";
import type { SigningKey } from "./trust/keys.ts";

export interface CourierOptions {
  /** Begins this sender's reply address: `gpuctl`, `server`. The rest of the address makes it unique to the process. */
  readonly sender: string;
  /** How long a request without a timeout of its own waits for its response, in ms. */
  readonly timeoutMs: number;
  /** The person or program that asks, for the agents' record of pulls: `gpuctl:alice@laptop`. Cut to 64 characters. */
  readonly requestedBy?: string | undefined;
  /** Signs its commands. Null: they are not signed, and boxes that require signatures refuse them. */
  readonly signingKey?: SigningKey | null;
  readonly witness?: Witness | null;
  readonly waits?: CommandWaits | null;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Whose documents count; by default each agent's first key of this process is its key. */
  readonly agents?: KnownAgents;
  /** Where it finds the agents; by default it reads all state documents when it needs them. */
  readonly fleet?: FleetReader;
  /** Puts a failure in the words for those who ask; by default it stays. */
  readonly reword?: (failure: CourierError) => CourierError;
}

interface PullOptions extends RequestOptions {
  /** Pull even if the agent says that the model does not fit its disk. */
  readonly force?: boolean | undefined;
  /** Pull outside the windows of the agent's box too; agents without windows ignore it. */
  readonly now?: boolean | undefined;
}

interface LoadOptions extends RequestOptions {
  /** How long it stays loaded after its last request; undefined: as its Ollama is set. */
  readonly keepAlive?: KeepAlive | undefined;
}

/** An agent looks for at most 25 s. */
const DISK_MS = 30_000;

export class Courier {
  /** The keys of the agents. */
  readonly keys: KnownAgents;
  readonly #transport: Transport;
  readonly #options: CourierOptions;
  readonly #clock: Clock;
  readonly #fleet: FleetReader;
  readonly #mailbox: Mailbox;
  readonly #requests: Requests;
  readonly #lists: Lists;

  constructor(
    transport: Transport,
    options: CourierOptions,
    /** Of a courier that shares it. */
    mailbox?: Mailbox,
  ) {
    const { sender, timeoutMs, requestedBy, signingKey = null, clock = systemClock, log = silentLog } = options;
    const { agents = new KnownAgents() } = options;
    const unique = Bun.randomUUIDv7().replaceAll("-", "").slice(-12);
    this.keys = agents;
    this.#transport = transport;
    this.#options = options;
    this.#clock = clock;
    this.#fleet = options.fleet ?? new Fleet(transport, clock, agents);
    const judge = verifiedReplies(agents);
    this.#mailbox = mailbox ?? new Mailbox(transport, clock, `${sender}-${unique}`, { signingKey, judge, log });
    this.#requests = new Requests({
      fleet: this.#fleet,
      mailbox: this.#mailbox,
      timeoutMs,
      requestedBy,
      signs: signingKey !== null,
      keys: agents,
      witness: options.witness ?? null,
      waits: options.waits ?? null,
      reword: options.reword,
    });
    this.#lists = new Lists(this.#fleet, this.#requests);
  }

  /**
   * The same sender, to whom the agents of another reader are all there are. It needs no `close()` of its own.
   * @param reword puts a failure in the words for those who ask
   */
  over(fleet: FleetReader, reword: (failure: CourierError) => CourierError): Courier {
    return new Courier(this.#transport, { ...this.#options, agents: this.keys, fleet, reword }, this.#mailbox);
  }

  /** Gives the reply address up. Idempotent; the transport stays open. */
  async close(): Promise<void> {
    await this.#mailbox.close();
  }

  /** How many responses did not match their command and were ignored, by the agent that was asked. */
  get ignoredReplies(): ReadonlyMap<string, number> {
    return this.#mailbox.ignoredReplies;
  }

  /** The transport's clock, in ms since 1970: the one that agents and senders share. */
  now(): number {
    return this.#transport.now();
  }

  /**
   * Every agent with a state document, in order of names. Empty when there is no agent.
   * @param maxAgeMs an earlier reading may be returned while it is younger; 0 reads now
   * @throws CourierError `unavailable` when the transport cannot be read: safe to retry
   */
  async agents(maxAgeMs = 0): Promise<readonly AgentView[]> {
    return await this.#fleet.read(maxAgeMs);
  }

  /** The last known view of every agent, without touching the transport. */
  lastKnownAgents(): readonly AgentView[] {
    return this.#fleet.lastKnown();
  }

  /**
   * One agent's view.
   * @param maxAgeMs as for `agents()`
   * @throws CourierError `not_found` with the known names; `unavailable`
   */
  async agent(name: string, maxAgeMs?: number): Promise<AgentView> {
    return await findAgent(this.#fleet, name, maxAgeMs);
  }

  /**
   * The agents that a request is for. Without names: the only agent, not counting those that stopped. All: also those
   * that stopped, because their machines miss the request, but no silent legacy service.
   * @throws CourierError `conflict` with the names when there are several and none was named; `unavailable` when there
   *   is no agent; `not_found`
   */
  async choose(names: Agents | undefined): Promise<readonly AgentView[]> {
    return await chooseAgents(this.#fleet, names);
  }

  /**
   * Sends one command to one agent and resolves with its response, which is a success.
   * @throws CourierError with the agent's code when it refused or failed; `unavailable` at once, with nothing sent,
   *   when the agent is offline or refuses everything; `unimplemented` for a verb that a legacy service does not have;
   *   `deadline_exceeded` with what was last known; `cancelled`; `not_found`
   */
  async request(agent: string, request: Request, options?: RequestOptions): Promise<Response> {
    return await this.#requests.send(agent, request, options);
  }

  /**
   * Removes what an agent that is gone left behind: its state, its inbox and the commands in it. Its key stays known.
   * @throws CourierError `conflict` when it is there, or came back at this moment; `not_found`; `unavailable`
   */
  async forget(agent: string): Promise<Forgotten> {
    const forgotten = await this.#transport.forget(agent, await this.requireGone(agent));
    if (forgotten === null) throw new CourierError("conflict", `Cannot forget ${agent}: it is there again`);
    return forgotten;
  }

  /** @returns when the document of an agent that is gone was published @throws CourierError as `forget()` */
  async requireGone(agent: string): Promise<number> {
    const view = await findAgent(this.#fleet, agent);
    const record = await this.#transport.readState(agent);
    if (record === null) throw new CourierError("not_found", `${agent} has no state on this share`);
    const there = stillThere(view, this.#transport.now(agent) - signOfLifeMs(record));
    if (there !== undefined) throw there;
    return record.publishedAtMs;
  }

  /** Measures the round trip to one agent. @returns ms @throws CourierError as `request()` */
  async ping(agent: string, options?: RequestOptions): Promise<number> {
    const startedMs = this.#clock.monotonic();
    await this.request(agent, { verb: "ping" }, options);
    return this.#clock.monotonic() - startedMs;
  }

  /**
   * The models of the fleet, from the state documents. An agent is asked when `fresh` is set, when it is a legacy
   * service, or when its list was too long for its document.
   * @param names which agents; undefined: all
   * @returns the models, and the agents that could not answer
   * @throws CourierError `unavailable` when no agent could answer; `not_found`
   */
  async listModels(names?: Agents, options: ListOptions = {}): Promise<FleetModels> {
    return await this.#lists.models(names, options);
  }

  /** The models in memory, by name. Otherwise as `listModels()`. */
  async listRunning(names?: Agents, options: ListOptions = {}): Promise<FleetRunning> {
    return await this.#lists.running(names, options);
  }

  /** The jobs in the state documents. @throws CourierError `unavailable` when no agent is online; `not_found` */
  async listJobs(names?: Agents): Promise<{ jobs: readonly Job[]; unavailable: readonly Unavailable[] }> {
    return await this.#lists.jobs(names);
  }

  /** Every job that an agent keeps, the newest last. @throws CourierError as `request()` */
  async jobHistory(agent: string, options?: RequestOptions): Promise<readonly Job[]> {
    return await this.#lists.history(agent, options);
  }

  /**
   * One job, whichever agent has it. When no state document shows it, the agents are asked for the jobs that they keep.
   * @throws CourierError `not_found`, with the agents that could not be asked; `conflict` when several publish it, and it is
   *   unknown which was asked for it; `unavailable`
   */
  async findJob(id: string, options?: FindJobOptions): Promise<Job> {
    return await this.#lists.findJob(id, options);
  }

  /**
   * Ends a job, for everybody who asked for it. Resolves after Ollama has stopped.
   * @returns the cancelled job; one that was cancelled earlier is returned unchanged
   * @throws CourierError `conflict` when it had succeeded or failed; else as `request()`
   */
  async cancelJob(job: Job, options?: RequestOptions): Promise<Job> {
    if (job.state === "cancelled") return job;
    if (isEnded(job) || job.id === null) throw tooLate(job);
    const response = await this.request(job.agent, { verb: "cancel_job", arguments: { job_id: job.id } }, options);
    return response.job ?? { ...job, state: "cancelled" };
  }

  /**
   * Starts the pull of a model, or joins the one under way.
   * @returns the agent's job; the job of a legacy service has no id and cannot be followed
   * @throws CourierError `exhausted` when the model does not fit the agent's disk; else as `request()`
   */
  async pullModel(agent: string, model: string, { force, now, ...options }: PullOptions = {}): Promise<Job> {
    const name = normalModelName(model);
    const given = { ...(force === true ? { force } : {}), ...(now === true ? { now } : {}) };
    const request: Request = { verb: "pull_model", modelName: name };
    const asked = Object.keys(given).length === 0 ? request : { ...request, arguments: given };
    const response = await this.request(agent, asked, options);
    return response.job ?? legacyPull(agent, name);
  }

  /**
   * Has an agent with `--mirror-source` fetch a model into the mirror, or joins the fetch under way: `fetches` of its state.
   * @throws CourierError `forbidden` when that agent is no source, or does not allow the registry; else as `request()`
   */
  async fetchModel(agent: string, model: string, options?: RequestOptions): Promise<Fetch> {
    return fetchOf(
      agent,
      await this.#newer(agent, { verb: "fetch_model", modelName: normalModelName(model) }, options),
    );
  }

  /** Ends a fetch, for everybody who asked for it. @throws CourierError as `cancelJob()` */
  async cancelFetch(agent: string, id: string, options?: RequestOptions): Promise<Fetch> {
    return fetchOf(agent, await this.request(agent, { verb: "cancel_job", arguments: { job_id: id } }, options));
  }

  /** Deletes a model. @throws CourierError `not_found` when the agent does not have it; else as `request()` */
  async deleteModel(agent: string, model: string, options?: RequestOptions): Promise<Response> {
    return await this.request(agent, { verb: "delete_model", modelName: normalModelName(model) }, options);
  }

  /** Ollama's details of one model. @throws CourierError as `deleteModel()` */
  async showModel(agent: string, model: string, options?: RequestOptions): Promise<ModelDetails> {
    const { show } = await this.request(agent, { verb: "show_model", modelName: normalModelName(model) }, options);
    return show ?? {};
  }

  /**
   * One model of one agent as the agent lists it, with Ollama's details. The agent is not asked for its whole list.
   * @throws CourierError as `deleteModel()`
   */
  async describeModel(
    agent: string,
    model: string,
    options?: RequestOptions,
  ): Promise<{ readonly model: FleetModel; readonly show: ModelDetails }> {
    const name = normalModelName(model);
    const { show = {}, models = [] } = await this.request(agent, { verb: "show_model", modelName: name }, options);
    const { state } = await this.agent(agent);
    const own = mergeModels([{ agent, models, clockOffsetMs: state?.clock_offset_ms }]);
    // An agent of version 0.1.0 sends the details only.
    const listed = own.length > 0 ? own : (await this.listModels([agent], { ...options, fresh: true })).models;
    const found = listed.find((candidate) => sameModel(candidate.name, name));
    if (found !== undefined) return { model: found, show };
    throw new CourierError("not_found", `Agent ${agent} has no model "${name}"`);
  }

  /** Gives a model a second name. A model that has this name is replaced. @throws CourierError as `deleteModel()` */
  async copyModel(agent: string, model: string, destination: string, options?: RequestOptions): Promise<void> {
    const names = { modelName: normalModelName(model), arguments: { destination: normalModelName(destination) } };
    await this.request(agent, { verb: "copy_model", ...names }, options);
  }

  /**
   * Loads a model into memory, or lets a loaded one stay for longer. Resolves when it is loaded; a load goes on after its
   * caller gave up.
   * @returns also the model's entry of the running ones
   * @throws CourierError `invalid` also for a `keepAlive` of 0, which would unload; `deadline_exceeded` also while the agent
   *   still loads it: safe to retry; else as `deleteModel()`
   */
  async loadModel(agent: string, model: string, { keepAlive, ...options }: LoadOptions = {}): Promise<Response> {
    const given = keepAlive === undefined ? {} : { arguments: { keep_alive: keepAliveSeconds(keepAlive) } };
    return await this.request(agent, { verb: "load_model", modelName: normalModelName(model), ...given }, options);
  }

  /**
   * The disk of one agent's models, and what is left over on it. Long lists are cut; the sums are of everything.
   * @throws CourierError `forbidden` or `unavailable` when the agent cannot read Ollama's folder; `unimplemented` when it is
   *   older than this verb; else as `request()`
   */
  async diskUsage(agent: string, options?: RequestOptions): Promise<ShownUsage> {
    return documentOf(agent, "disk_usage", await this.#disk(agent, { verb: "disk_usage" }, options));
  }

  /**
   * Removes left-over blobs of one agent. Harmless when it is repeated.
   * @param choices with neither kind, both; a dry run removes nothing
   * @throws CourierError as `diskUsage()`, and `forbidden` also when the agent may not write there
   */
  async prune(agent: string, choices: PruneChoices = {}, options?: RequestOptions): Promise<ShownPruned> {
    const request: Request = { verb: "prune", arguments: pruneArguments(choices) };
    return documentOf(agent, "pruned", await this.#disk(agent, request, options));
  }

  /**
   * A model as an agent finds it in its registry: for models of registries that are not reached from here.
   * @throws CourierError `not_found` when the registry has no such model; `forbidden` or `unavailable` when the agent cannot
   *   ask it; else as `request()`
   */
  async publishedModel(agent: string, model: string, options?: RequestOptions): Promise<PublishedModel> {
    const request: Request = { verb: "published_model", modelName: normalModelName(model) };
    return documentOf(agent, "published", await this.request(agent, request, options));
  }

  async #disk(agent: string, request: Request, options: RequestOptions = {}): Promise<Response> {
    return await this.#newer(agent, request, { timeoutMs: Math.max(DISK_MS, this.#options.timeoutMs), ...options });
  }

  async #newer(agent: string, request: Request, options?: RequestOptions): Promise<Response> {
    return await this.request(agent, request, options).catch((error: unknown) => {
      throw explained(agent, asCourierError(error));
    });
  }

  /**
   * Unloads a model from memory. A busy model is unloaded after its current request, as the response's message says.
   * @throws CourierError as `deleteModel()`
   */
  async unloadModel(agent: string, model: string, options?: RequestOptions): Promise<Response> {
    return await this.request(agent, { verb: "unload_model", modelName: normalModelName(model) }, options);
  }

  /**
   * Follows a job through the agent's state: yields it at once, then at each change, and last when it has ended.
   * @throws CourierError `cancelled` when the signal aborts (the job goes on); `unavailable` when the agent goes away
   *   before the job has ended, or the job is gone from its state
   */
  async *followJob(agent: string, id: string, signal?: AbortSignal): AsyncGenerator<Job> {
    const look = async (maxAgeMs: number): Promise<AgentView> => await this.agent(agent, maxAgeMs);
    const history = async (): Promise<readonly Job[]> => await this.jobHistory(agent, { signal });
    yield* followJob({ agent, id, look, history, clock: this.#clock, signal });
  }
}

/** A legacy service only says that it started a pull. */
function legacyPull(agent: string, model: string): Job {
  const error = "A legacy service started this pull: its progress is unknown";
  return { ...newPull(null, agent, model), state: "running", code: "unimplemented", error };
}
