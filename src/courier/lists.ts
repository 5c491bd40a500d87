// Models, loaded models and jobs of several agents as one list each, and one job wherever it is.
import type { Clock } from "../base/clock.ts";
import { CourierError } from "../base/errors.ts";
import { isEnded, type Job, LIMITS } from "../protocol.ts";
import type { AgentView } from "./agent_view.ts";
import { findJobOf, listJobsOf, readModelPages } from "./cut_lists.ts";
import type { FleetReader } from "./fleet.ts";
import { type AgentModels, type FleetModels, mergeModels, publishedModels } from "./models.ts";
import { firstOf } from "./named.ts";
import { agentAway, noAgent, nobodyAnswered } from "./refusals.ts";
import type { RequestOptions, Requests } from "./requests.ts";
import { type AgentRunning, type FleetRunning, mergeRunning } from "./running.ts";
import { type Agents, listedAgents } from "./selection.ts";
import type { Unavailable } from "./unavailable.ts";
import { awayEntry, failedEntry } from "./unavailable.ts";

/** In a larger fleet only the agents are asked for a job whose documents do not show all that they have. */
const ASK_ALL = 100;

export interface ListOptions extends RequestOptions {
  /** Ask the agents rather than read what they published. */
  readonly fresh?: boolean;
}

export interface FindJobOptions extends RequestOptions {
  /** The agent that was asked for it, if that is known: only this one can have it. */
  readonly sentTo?: string | undefined;
  /** Lists the jobs that an agent keeps, for a caller that shares the answers; otherwise each agent is asked. */
  readonly history?: (agent: string) => Promise<readonly Job[]>;
}

/** Each method reads the state documents, and asks an agent only for what its document does not hold. */
export class Lists {
  readonly #fleet: Pick<FleetReader, "read" | "find">;
  readonly #requests: Pick<Requests, "send">;

  constructor(fleet: Pick<FleetReader, "read" | "find">, requests: Pick<Requests, "send">) {
    this.#fleet = fleet;
    this.#requests = requests;
  }

  /** @see `Courier.listModels` */
  async models(names: Agents | undefined, options: ListOptions): Promise<FleetModels> {
    const views = await listedAgents(this.#fleet, names);
    const results = await Promise.all(views.map(async (view) => await this.#modelsOf(view, options)));
    const held = results.filter((result) => "models" in result);
    const unavailable = results.filter((result) => "code" in result);
    if (held.length === 0) throw nobodyAnswered(views, unavailable);
    return { models: mergeModels(held), unavailable };
  }

  /** @see `Courier.listRunning` */
  async running(names: Agents | undefined, options: ListOptions): Promise<FleetRunning> {
    const views = await listedAgents(this.#fleet, names);
    const results = await Promise.all(views.map(async (view) => await this.#runningOn(view, options)));
    const held = results.filter((result) => "running" in result);
    const unavailable = results.filter((result) => "code" in result);
    if (held.length === 0) throw nobodyAnswered(views, unavailable);
    return { running: mergeRunning(held), unavailable };
  }

  /** @see `Courier.listJobs` */
  async jobs(names: Agents | undefined): Promise<{ jobs: readonly Job[]; unavailable: readonly Unavailable[] }> {
    const views = await listedAgents(this.#fleet, names);
    if (views.every(({ online }) => !online)) throw noAgent(views);
    const history = async (agent: string) => await this.history(agent);
    const listed = await Promise.all(views.map(async (view) => await listJobsOf(view, history)));
    return { jobs: listed.flatMap(({ jobs }) => jobs), unavailable: listed.flatMap(({ unavailable }) => unavailable) };
  }

  /** @see `Courier.jobHistory` */
  async history(agent: string, options?: RequestOptions): Promise<readonly Job[]> {
    const { jobs = [] } = await this.#requests.send(agent, { verb: "list_jobs" }, options);
    return jobs;
  }

  /** @see `Courier.findJob` */
  async findJob(id: string, options: FindJobOptions = {}): Promise<Job> {
    const { sentTo } = options;
    const views = (await this.#fleet.read()).filter(({ agent }) => sentTo === undefined || agent === sentTo);
    const published = onlyJob(
      id,
      views.flatMap(({ state }) => state?.jobs ?? []),
    );
    if (published !== undefined) return published;
    const known = views.filter(({ state }) => state !== null);
    const agents = (known.length <= ASK_ALL ? known : known.filter(mayKnowMore)).map(({ agent }) => agent);
    const { history = async (agent: string) => await this.history(agent, options) } = options;
    // Undefined: the agent could not answer.
    const asked = agents.map(async (agent) => ({ agent, jobs: await history(agent).catch(() => undefined) }));
    const silent: string[] = [];
    // The caller need not wait for a slow agent when a quick one has the job.
    for await (const { agent, jobs } of asCompleted(asked)) {
      if (jobs === undefined) silent.push(agent);
      const found = jobs?.find((job) => job.id === id);
      if (found !== undefined) return found;
    }
    throw unknownJob(id, silent);
  }

  async #modelsOf(view: AgentView, options: ListOptions): Promise<AgentModels | Unavailable> {
    const { agent, state, online, reason } = view;
    const clockOffsetMs = state?.clock_offset_ms;
    const mustAsk = options.fresh === true || state === null || state.truncated.includes("models");
    if (!online || (reason === "ollama_down" && !mustAsk)) return awayEntry(view);
    if (!mustAsk) return publishedModels(view) ?? awayEntry(view, "Ollama has not answered yet");
    return await orUnavailable(agent, async () => {
      const list = async (paging: object) =>
        await this.#requests.send(agent, { verb: "list_models", ...paging }, options);
      return { agent, models: await readModelPages(list), clockOffsetMs };
    });
  }

  async #runningOn(view: AgentView, options: ListOptions): Promise<AgentRunning | Unavailable> {
    const { agent, state, online, reason } = view;
    if (!online || reason === "ollama_down") return awayEntry(view);
    const mustAsk = options.fresh === true || state === null || state.truncated.includes("running");
    if (!mustAsk) return { agent, running: state.running };
    return await orUnavailable(agent, async () => {
      const { running = [] } = await this.#requests.send(agent, { verb: "list_running" }, options);
      return { agent, running };
    });
  }
}

/** Whether an agent may keep jobs that its document does not show: the older ones of many that ended, or what was cut. */
function mayKnowMore({ state }: AgentView): boolean {
  if (state === null) return false;
  return state.truncated.includes("jobs") || state.jobs.filter(isEnded).length >= LIMITS.endedJobsInState;
}

/**
 * The job of this id. An agent may publish any id, also that of another agent's job, and a reader does not know which was asked.
 * @throws CourierError `conflict` when several agents have one
 */
export function onlyJob(id: string, jobs: readonly Job[]): Job | undefined {
  const found = new Map(jobs.filter((job) => job.id === id).map((job) => [job.agent, job]));
  const [only] = found.values();
  if (found.size <= 1) return only;
  throw new CourierError("conflict", `Several agents have a job ${id}: ${firstOf([...found.keys()], (name) => name)}`, {
    hint: "Choose the agent that was asked for it: --agent NAME",
  });
}

/** @param silent the agents that could not be asked */
function unknownJob(id: string, silent: readonly string[]): CourierError {
  const doubt = silent.length === 0 ? "" : `; could not ask ${firstOf(silent, (agent) => agent)}`;
  return new CourierError("not_found", `No agent has a job ${id}${doubt}`, {
    hint: `An agent keeps its active jobs and the last ${LIMITS.endedJobsKept} that ended`,
  });
}

async function orUnavailable<Answer>(agent: string, ask: () => Promise<Answer>): Promise<Answer | Unavailable> {
  try {
    return await ask();
  } catch (error) {
    return failedEntry(agent, error);
  }
}

/** Yields the results in the order in which they arrive. */
async function* asCompleted<Value>(promises: readonly Promise<Value>[]): AsyncGenerator<Value> {
  const pending = new Map(promises.map((promise, index) => [index, promise.then((value) => ({ index, value }))]));
  while (pending.size > 0) {
    const { index, value } = await Promise.race(pending.values());
    pending.delete(index);
    yield value;
  }
}

interface FollowedJob {
  readonly agent: string;
  readonly id: string;
  /** Reads the agent's state, unless it was read so short a time ago. */
  readonly look: (maxAgeMs: number) => Promise<AgentView>;
  /** The jobs that the agent keeps. */
  readonly history: () => Promise<readonly Job[]>;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

const FOLLOW_INTERVAL_MS = 250;

/** @see `Courier.followJob` */
export async function* followJob({ agent, id, look, history, clock, signal }: FollowedJob): AsyncGenerator<Job> {
  for (let last = ""; ; ) {
    const view = await look(FOLLOW_INTERVAL_MS / 2);
    // Its agent may have stopped since it ended.
    const ended = view.state?.jobs.find((job) => job.id === id && isEnded(job));
    if (ended === undefined && !view.online) throw agentAway(view);
    const job = ended ?? (await findJobOf(view, id, history));
    if (job === undefined) throw new CourierError("unavailable", `${agent} no longer has the job ${id}`);
    const text = JSON.stringify(job);
    if (text !== last) yield job;
    last = text;
    if (isEnded(job)) return;
    await clock.sleep(FOLLOW_INTERVAL_MS, signal);
    if (signal?.aborted === true) throw new CourierError("cancelled", `Stopped following job ${id}: it continues`);
  }
}
