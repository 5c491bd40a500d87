// The platform side over any transport: what gpu-server and gpuctl hold. Imports the seam, protocol and courier/.
import { type Clock, systemClock } from "./base/clock.ts";
import { asCourierError, CourierError } from "./base/errors.ts";
import { normalModelName, sameModel } from "./base/model_name.ts";
import { findJobOf, listJobsOf } from "./courier/cut_jobs.ts";
import { type AgentView, describeView, Fleet, isPresent } from "./courier/fleet.ts";
import { tooLate, unknownJob } from "./courier/job_refusals.ts";
import { Mailbox, type Order } from "./courier/mailbox.ts";
import { readModelPages } from "./courier/model_pages.ts";
import {
  type AgentModels,
  type FleetModel,
  type FleetModels,
  mergeModels,
  type Unavailable,
} from "./courier/models.ts";
import { agentAway, away, noAgent, nobodyAnswered, refusal } from "./courier/refusals.ts";
import { type AgentRunning, type FleetRunning, mergeRunning } from "./courier/running.ts";
import { isEnded, type Job, type ModelDetails, newPull, type Response, VERBS } from "./protocol.ts";
import type { Transport } from "./transport.ts";

export interface CourierOptions {
  /** Begins this sender's reply address, which is made unique to the process: `gpuctl`, `server`. */
  readonly sender: string;
  /** How long a command waits for its answer unless told otherwise, in ms. */
  readonly timeoutMs: number;
  readonly clock?: Clock;
}

export interface RequestOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface PullOptions extends RequestOptions {
  /** Go on where the agent sees too little room on its disk. */
  readonly force?: boolean | undefined;
}

export interface ListOptions extends RequestOptions {
  /** Ask the agents rather than read what they published. */
  readonly fresh?: boolean;
}

/** Which agents a request is for: names, or every one that there is. */
export type Agents = readonly string[] | "all";

/** A view this young is good enough to send a command by: an agent is silent only after 20 s. */
const VIEW_MAX_AGE_MS = 1000;
const FOLLOW_INTERVAL_MS = 250;
/** A legacy service looks for commands every 5 s. */
const LEGACY_SERVICE_MIN_TIMEOUT_MS = 12_000;

export class Courier {
  readonly #transport: Transport;
  readonly #fleet: Fleet;
  readonly #mailbox: Mailbox;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(transport: Transport, { sender, timeoutMs, clock = systemClock }: CourierOptions) {
    const unique = Bun.randomUUIDv7().replaceAll("-", "").slice(-12);
    this.#transport = transport;
    this.#fleet = new Fleet(transport, clock);
    this.#mailbox = new Mailbox(transport, clock, `${sender}-${unique}`);
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Gives the reply address up. Idempotent; the transport stays open. */
  async close(): Promise<void> {
    await this.#mailbox.close();
  }

  /** The transport's clock, in ms since 1970: the one that agents and senders share. */
  now(): number {
    return this.#transport.now();
  }

  /**
   * Every agent with a state document, in order of names; none: empty.
   * @param maxAgeMs an earlier reading this young will do; 0 reads now
   * @throws CourierError `unavailable` when the transport cannot be read: safe to repeat
   */
  async agents(maxAgeMs = 0): Promise<readonly AgentView[]> {
    return await this.#fleet.read(maxAgeMs);
  }

  /** What was last seen of every agent, without touching the transport. */
  lastKnownAgents(): readonly AgentView[] {
    return this.#fleet.lastKnown();
  }

  /**
   * One agent's view.
   * @throws CourierError `not_found` naming those there are; `unavailable`
   */
  async agent(name: string, maxAgeMs = VIEW_MAX_AGE_MS): Promise<AgentView> {
    const views = await this.#fleet.read(maxAgeMs);
    // An agent may have started since the last reading.
    const found = findAgent(views, name) ?? findAgent(await this.#fleet.read(), name);
    if (found !== undefined) return found;
    throw new CourierError("not_found", `No agent "${name}" has published its state here`, {
      hint:
        views.length === 0 ? "No agent is there at all" : `There are: ${views.map(({ agent }) => agent).join(", ")}`,
    });
  }

  /**
   * The agents a request is for. Without names: the only one there is, those that stopped left aside. All: those too,
   * since they are boxes that the request does not reach; not a legacy service that is silent, whose document stays behind.
   * @throws CourierError `conflict` naming them when several would do; `unavailable` when there is none; `not_found`
   */
  async choose(names: Agents | undefined): Promise<readonly AgentView[]> {
    if (names !== undefined && names !== "all")
      return await Promise.all(names.map(async (name) => await this.agent(name)));
    const views = await this.#fleet.read();
    const present = views.filter(isPresent);
    if (present.length === 0) throw noAgent(views);
    if (names === "all") return views.filter((view) => isPresent(view) || view.state !== null);
    if (present.length === 1) return present;
    const known = present.map(({ agent }) => agent).join(", ");
    throw new CourierError("conflict", `Several agents are there: ${known}`, { hint: "Name the one that is meant" });
  }

  /**
   * Sends one command to one agent and resolves with its successful answer.
   * @throws CourierError with the agent's code when it refused or failed; `unavailable` at once when the agent is known
   *   to be away, or to take nothing; `unimplemented` for a verb that a legacy service has not; `deadline_exceeded` with the last thing known;
   *   `cancelled`; `not_found`
   */
  async request(
    agent: string,
    order: Order,
    { timeoutMs = this.#timeoutMs, signal }: RequestOptions = {},
  ): Promise<Response> {
    const view = await this.agent(agent);
    if (!view.online || takesNothing(view)) throw agentAway(view);
    const lastKnown = async (id: string, withdrawn: boolean): Promise<string> =>
      await this.#lastKnown(agent, id, withdrawn);
    const response = await this.#exchange(view, order, { timeoutMs, signal, lastKnown });
    if (!response.success) throw refusal(agent, response);
    // What was done is done, also when the state cannot be read just now.
    if (VERBS[order.verb].changing) await this.#fleet.read().catch(() => undefined);
    return response;
  }

  /** How long one agent takes to answer, in ms. @throws CourierError as `request()` */
  async ping(agent: string, options?: RequestOptions): Promise<number> {
    const startedMs = this.#clock.monotonic();
    await this.request(agent, { verb: "ping" }, options);
    return this.#clock.monotonic() - startedMs;
  }

  /**
   * The models of the fleet. From the state documents; `fresh` asks the agents, as does a legacy service or a list that
   * was too long for the document.
   * @param names which agents; undefined: all there are
   * @returns the models, and which agents could not say
   * @throws CourierError `unavailable` when no agent could; `not_found`
   */
  async listModels(names?: Agents, options: ListOptions = {}): Promise<FleetModels> {
    const views = await this.#wanted(names);
    const asked = await Promise.all(views.map(async (view) => await this.#modelsOf(view, options)));
    const held = asked.filter((answer) => "models" in answer);
    const unavailable = asked.filter((answer) => "code" in answer);
    if (held.length === 0) throw nobodyAnswered(views, unavailable);
    return { models: mergeModels(held), unavailable };
  }

  /**
   * The models in memory, by name. From the state documents; `fresh` asks the agents.
   * @returns the models, and which agents could not say
   * @throws CourierError `unavailable` when no agent could; `not_found`
   */
  async listRunning(names?: Agents, options: ListOptions = {}): Promise<FleetRunning> {
    const views = await this.#wanted(names);
    const asked = await Promise.all(views.map(async (view) => await this.#runningOn(view, options)));
    const unavailable = asked.filter((answer) => "code" in answer);
    if (unavailable.length === asked.length) throw nobodyAnswered(views, unavailable);
    return { running: mergeRunning(asked.filter((answer) => "running" in answer)), unavailable };
  }

  /** The jobs that the state documents tell of. @throws CourierError `unavailable` when no agent is there; `not_found` */
  async listJobs(names?: Agents): Promise<{ jobs: readonly Job[]; unavailable: readonly Unavailable[] }> {
    const views = await this.#wanted(names);
    if (views.every(({ online }) => !online)) throw noAgent(views);
    const history = async (agent: string) => await this.jobHistory(agent);
    const listed = await Promise.all(views.map(async (view) => await listJobsOf(view, history)));
    return { jobs: listed.flatMap(({ jobs }) => jobs), unavailable: listed.flatMap(({ unavailable }) => unavailable) };
  }

  /** Every job that an agent still knows, the newest last. @throws CourierError as `request()` */
  async jobHistory(agent: string, options?: RequestOptions): Promise<readonly Job[]> {
    const { jobs = [] } = await this.request(agent, { verb: "list_jobs" }, options);
    return jobs;
  }

  /**
   * One job, wherever it is: from the state documents, else the agents are asked for those that ended long ago.
   * @throws CourierError `not_found` saying which agents could not be asked; `unavailable`
   */
  async findJob(id: string, options?: RequestOptions): Promise<Job> {
    const views = await this.#fleet.read();
    const told = views.flatMap(({ state }) => state?.jobs ?? []).find((job) => job.id === id);
    if (told !== undefined) return told;
    const asked = views.filter(({ state }) => state !== null);
    const silent: string[] = [];
    const search = async ({ agent }: AgentView): Promise<Job> => {
      const jobs = await this.jobHistory(agent, options).catch(() => void silent.push(agent));
      const found = jobs?.find((job) => job.id === id);
      if (found === undefined) throw unknownJob(id, silent);
      return found;
    };
    return await Promise.any(asked.map(search)).catch(() => {
      throw unknownJob(id, silent);
    });
  }

  /**
   * Ends a job, for all who asked for it. Resolves when Ollama was seen to have stopped.
   * @returns the job, cancelled; one that was cancelled before as it is
   * @throws CourierError `conflict` when it had succeeded or failed; else as `request()`
   */
  async cancelJob(job: Job, options?: RequestOptions): Promise<Job> {
    if (job.state === "cancelled") return job;
    if (isEnded(job) || job.id === null) throw tooLate(job);
    const answer = await this.request(job.agent, { verb: "cancel_job", arguments: { job_id: job.id } }, options);
    return answer.job ?? { ...job, state: "cancelled" };
  }

  /**
   * Starts or joins the pull of a model.
   * @returns the job as the agent answered it; a legacy service's has no id and cannot be followed
   * @throws CourierError `exhausted` when it does not fit the agent's disk; else as `request()`
   */
  async pullModel(agent: string, model: string, { force = false, ...options }: PullOptions = {}): Promise<Job> {
    const name = normalModelName(model);
    const order: Order = { verb: "pull_model", modelName: name, ...(force ? { arguments: { force } } : {}) };
    const response = await this.request(agent, order, options);
    return response.job ?? unfollowedJob(agent, name);
  }

  /** Deletes a model. @throws CourierError `not_found` when it is not there; else as `request()` */
  async deleteModel(agent: string, model: string, options?: RequestOptions): Promise<Response> {
    return await this.request(agent, { verb: "delete_model", modelName: normalModelName(model) }, options);
  }

  /** What Ollama tells of one model. @throws CourierError `not_found` when it is not there; else as `request()` */
  async showModel(agent: string, model: string, options?: RequestOptions): Promise<ModelDetails> {
    const { show } = await this.request(agent, { verb: "show_model", modelName: normalModelName(model) }, options);
    return show ?? {};
  }

  /**
   * One model of one agent, as its list has it, with Ollama's details. The agent is not asked for the whole list.
   * @throws CourierError as `showModel()`
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
    const listed = own.length > 0 ? own : (await this.listModels([agent], options)).models;
    const found = listed.find((candidate) => sameModel(candidate.name, name));
    if (found !== undefined) return { model: found, show };
    throw new CourierError("not_found", `Agent ${agent} has no model "${name}"`);
  }

  /** Gives a model a second name; one that has this name already is replaced. @throws CourierError as `showModel()` */
  async copyModel(agent: string, model: string, destination: string, options?: RequestOptions): Promise<void> {
    const names = { modelName: normalModelName(model), arguments: { destination: normalModelName(destination) } };
    await this.request(agent, { verb: "copy_model", ...names }, options);
  }

  /**
   * Takes a model out of memory; one that is busy goes when it has done what it is at, as the answer's message says.
   * @throws CourierError as `showModel()`
   */
  async unloadModel(agent: string, model: string, options?: RequestOptions): Promise<Response> {
    return await this.request(agent, { verb: "unload_model", modelName: normalModelName(model) }, options);
  }

  /**
   * Follows a job through the agent's state: yields it as it is, then at each change, its end last.
   * @throws CourierError `cancelled` when the signal aborts (the job goes on); `unavailable` when the agent goes silent
   *   or the job is gone from its state
   */
  async *followJob(agent: string, id: string, signal?: AbortSignal): AsyncGenerator<Job> {
    for (let last = ""; ; ) {
      const view = await this.agent(agent, FOLLOW_INTERVAL_MS / 2);
      if (!view.online) throw agentAway(view);
      const job = await findJobOf(view, id, async () => await this.jobHistory(agent, { signal }));
      if (job === undefined) throw new CourierError("unavailable", `Agent ${agent} does not know job ${id} any more`);
      const text = JSON.stringify(job);
      if (text !== last) yield job;
      last = text;
      if (isEnded(job)) return;
      await this.#clock.sleep(FOLLOW_INTERVAL_MS, signal);
      if (signal?.aborted === true) throw new CourierError("cancelled", `Stopped following job ${id}: it goes on`);
    }
  }

  async #exchange(view: AgentView, order: Order, waiting: Parameters<Mailbox["request"]>[2]): Promise<Response> {
    if (view.state !== null) return await this.#mailbox.request(view.agent, order, waiting);
    if (VERBS[order.verb].version === 1) return await this.#mailbox.requestOld(order, oldWaiting(waiting));
    throw new CourierError("unimplemented", `Agent ${view.agent} is a legacy service and has no ${order.verb}`, {
      hint: "Install gpu-agent on that box",
    });
  }

  async #wanted(names: Agents | undefined): Promise<readonly AgentView[]> {
    if (names !== undefined && names !== "all") return await this.choose(names);
    const views = (await this.#fleet.read()).filter(({ legacyState, online }) => legacyState === null || online);
    if (views.length === 0) throw noAgent(views);
    return views;
  }

  async #modelsOf(view: AgentView, options: ListOptions): Promise<AgentModels | Unavailable> {
    const { agent, state, online, reason } = view;
    const clockOffsetMs = state?.clock_offset_ms;
    const ask = options.fresh === true || state === null || state.truncated.includes("models");
    if (!online || (reason === "ollama_down" && !ask)) return away(view);
    if (!ask)
      return state.models === null
        ? away(view, "Ollama has not answered yet")
        : { agent, models: state.models, clockOffsetMs };
    return await this.#ask(agent, async () => {
      const list = async (paging: object) => await this.request(agent, { verb: "list_models", ...paging }, options);
      return { agent, models: await readModelPages(list), clockOffsetMs };
    });
  }

  async #runningOn(view: AgentView, options: ListOptions): Promise<AgentRunning | Unavailable> {
    const { agent, state, online, reason } = view;
    const ask = options.fresh === true || state === null || state.truncated.includes("running");
    if (!online || reason === "ollama_down") return away(view);
    return await this.#ask(agent, async () => {
      const running = ask ? (await this.request(agent, { verb: "list_running" }, options)).running : state.running;
      return { agent, running: running ?? [] };
    });
  }

  async #ask<Answer>(agent: string, ask: () => Promise<Answer>): Promise<Answer | Unavailable> {
    try {
      return await ask();
    } catch (error) {
      const { code, message } = asCourierError(error);
      return { agent, code, reason: message };
    }
  }

  /** Never a bare timeout: where the command was last seen. */
  async #lastKnown(agent: string, id: string, withdrawn: boolean): Promise<string> {
    let outage = "";
    const views = await this.#fleet.read().catch((error: unknown) => {
      outage = `${asCourierError(error).message}; `;
      return this.#fleet.lastKnown();
    });
    const view = findAgent(views, agent);
    if (view === undefined) return `${outage}agent ${agent} is gone`;
    const running = view.state?.commands.find(({ command_id }) => command_id === id);
    if (running !== undefined) return `${outage}${agent} has been running it since ${running.started_at}`;
    const seen = withdrawn ? `not yet answered by ${agent}` : `not to be taken back from ${agent}`;
    return `${outage}${seen}, ${view.online ? `which published its state ${(view.silentMs / 1000).toFixed(0)} s ago` : describeView(view)}`;
  }
}

/** Another agent has its name. One that serves reading verbs only answers itself why it refuses the others. */
function takesNothing({ reason, state }: AgentView): boolean {
  return reason === "degraded" && state?.reading_only !== true;
}

function findAgent(views: readonly AgentView[], name: string): AgentView | undefined {
  return views.find(({ agent }) => agent === name);
}

function oldWaiting(waiting: Parameters<Mailbox["request"]>[2]): Parameters<Mailbox["request"]>[2] {
  return { ...waiting, timeoutMs: Math.max(waiting.timeoutMs, LEGACY_SERVICE_MIN_TIMEOUT_MS) };
}

function unfollowedJob(agent: string, model: string): Job {
  const error = "Started by a legacy service: it cannot be followed";
  return { ...newPull(null, agent, model), state: "running", code: "unimplemented", error };
}

/** Whether any of these views holds the model by its state. */
export function holdsModel(view: AgentView, model: string): boolean {
  return view.state?.models?.some(({ name }) => sameModel(name, model)) ?? false;
}
