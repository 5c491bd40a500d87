// Sends job news to all listeners, from what changes in the index of the fleet.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { WatchedFleet } from "../../courier/index/watched_fleet.ts";
import type { Courier } from "../../courier.ts";
import { isEnded, type Job, LIMITS, type State } from "../../protocol.ts";
import { EndRate } from "../limits/end_rate.ts";
import type { EndedJob, EndLog } from "../store/ended_jobs.ts";

/** One piece of news. Listeners that have the same get the same object. */
export interface JobNews {
  /** First the agents that are offline or have a problem, then each that changes. */
  readonly agents: readonly AgentView[];
  /** Active jobs, as they are now. */
  readonly progress: readonly Job[];
  /** Only for listeners with figures: agents whose installed or loaded models changed, and agents that are gone. */
  readonly models: readonly string[];
  readonly removed: readonly string[];
  /** Ends that are new to the listener, in the order of their numbers. */
  readonly ended: readonly EndedJob[];
  /** The number of the last end that the listener has now. */
  readonly number: number;
}

/** Where a listener begins. */
export interface Start {
  /** The number of the last end that it has; undefined: it is new, or its number is too old or of another log. */
  readonly after: number | undefined;
  /** `after`, or else the number of the last end so far. */
  readonly number: number;
}

export interface JobFeedDeps {
  readonly fleet: Pick<WatchedFleet, "index" | "looked" | "refresh">;
  readonly courier: Pick<Courier, "jobHistory" | "now">;
  readonly ended: EndLog;
  readonly clock: Clock;
  readonly log: Log;
}

interface ActiveJob {
  readonly job: Job;
  /** Increases with each change of any job. */
  readonly change: number;
}

interface SeenAgent {
  readonly view: AgentView;
  /** Increases when `reason` changes; 0 if the agent never had a problem. */
  readonly change: number;
  /** Increases when anything that is shown of it changes, and when its models or those in its memory do. */
  readonly figures: number;
  readonly models: number;
  readonly active: ReadonlyMap<string, ActiveJob>;
}

/** Of most agents of a large fleet. */
const NO_JOBS: SeenAgent["active"] = new Map();
const NO_NEWS = { agents: [], progress: [], models: [], removed: [] } as const;
/** Changes within this time are one piece of news. */
const GATHERED_MS = 100;
/** A listener gets something at least this often: sooner than proxies, or this server, close a silent connection. */
export const HEARTBEAT_MS = 10_000;
const ENDS_AT_ONCE = 500;
const REMOVED_KEPT = 1_000;
/** Clock offsets are not exact. A job that ended just as the log began still belongs there. */
const LEEWAY_MS = 5_000;

/**
 * A listener has no queue. It keeps its position and reads the news when it can: a slow listener gets less progress, but
 * every end. A listener that has disconnected uses no memory here.
 */
export class JobFeed {
  readonly #deps: JobFeedDeps;
  readonly #seen = new Map<string, SeenAgent>();
  readonly #closing = new AbortController();
  /** The last ones, with when. */
  readonly #removed = new Map<string, number>();
  /** What listeners get that stand at the same place, by that place; until the next news. */
  readonly #latest = new Map<string, JobNews>();
  /** Agents whose ends could not be added to the log. */
  readonly #unlogged = new Set<string>();
  readonly #rate: EndRate;
  /** Not 0, where a new listener begins. */
  #changes = 1;
  #figureListeners = 0;
  #changed = Promise.withResolvers<void>();
  #isGathering = false;
  #asking: Promise<void> = Promise.resolve();

  constructor(deps: JobFeedDeps) {
    this.#deps = deps;
    this.#rate = new EndRate(deps);
    const { index } = deps.fleet;
    deps.ended.listen(() => this.#gather());
    for (const view of index.agents.items) this.#see(view);
    index.listen({
      changed: (view) => this.#see(view),
      removed: (agent) => this.#remove(agent),
      settled: () => this.#logAgain(),
    });
  }

  /** Finishes the news of every listener. */
  close(): void {
    this.#closing.abort();
    this.#wake();
  }

  /** Resolves when the log has every end that the states showed at the start, or when they cannot be read. Never rejects. */
  async ready(): Promise<void> {
    const { fleet } = this.#deps;
    await fleet.looked();
    // Before that, the transport's clock may not be known.
    if (fleet.index.isComplete) this.#beginLog();
  }

  /** Adds ends that no agent's state will show, with times of the transport's clock. */
  addEnds(jobs: readonly Job[]): void {
    this.#beginLog();
    this.#deps.ended.add(jobs);
  }

  /** The id of an event, which a listener sends as `Last-Event-ID` when it reconnects. */
  eventId(number: number): string {
    return `${this.#deps.ended.id}-${number}`;
  }

  /** Where a listener begins. For one job, call this before looking the job up, so that its end cannot be missed between. */
  startAfter(eventId: string | undefined): Start {
    const { ended } = this.#deps;
    const [, log, digits] = /^([0-9a-f]+)-(\d{1,15})$/.exec(eventId ?? "") ?? [];
    const number = Number(digits);
    const after = log === ended.id && ended.reaches(number) ? number : undefined;
    return { after, number: after ?? ended.last };
  }

  /** As `listen()`, for one active job and its agent; finishes with the job's end. */
  async *listenToJob({ id, agent }: Job, start: Start, signal: AbortSignal): AsyncGenerator<JobNews> {
    for await (const { agents, progress, ended, ...rest } of this.listen(start.number, signal)) {
      const isMeant = (job: Job): boolean => job.id === id && job.agent === agent;
      const own = ended.filter(({ job }) => isMeant(job));
      yield {
        agents: agents.filter((view) => view.agent === agent),
        progress: progress.filter(isMeant),
        ended: own,
        ...rest,
      };
      if (own.length > 0) return;
    }
  }

  /** The news that a job has ended. Undefined when the listener already has it. */
  async endOf(job: Job, start: Start): Promise<JobNews | undefined> {
    const { ended, fleet } = this.#deps;
    await this.ready();
    const find = (): EndedJob | undefined => ended.find(job.id ?? "", (agent) => agent === job.agent);
    if (find() === undefined) await fleet.refresh(job.agent).catch(() => undefined);
    // Its number may only be on its way.
    if (find() === undefined) await ended.settled();
    const number = find()?.number;
    if (start.after !== undefined && start.after >= (number ?? 0)) return undefined;
    return { ...NO_NEWS, ended: [{ number: number ?? ended.last, job }], number: start.number };
  }

  /**
   * News from now on. The first item has the active jobs and the agents that are offline. After `HEARTBEAT_MS` without news
   * an empty item follows.
   * @param after the number of the last end that this listener has; undefined: skip everything that has already ended
   * @param hasFigures whether it also gets each other change of an agent
   */
  async *listen(after: number | undefined, signal: AbortSignal, hasFigures = false): AsyncGenerator<JobNews> {
    const { ended, clock } = this.#deps;
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    await this.ready();
    let number = after ?? ended.last;
    let change = 0;
    this.#figureListeners += hasFigures ? 1 : 0;
    try {
      while (!stop.aborted) {
        const changed = this.#changed.promise;
        const news = this.#newsSince(change, number, hasFigures);
        number = news.number;
        change = this.#changes;
        yield news;
        if (number >= ended.last && change === this.#changes) await waitFor(changed, clock, stop);
      }
    } finally {
      this.#figureListeners -= hasFigures ? 1 : 0;
    }
  }

  #newsSince(change: number, number: number, hasFigures: boolean): JobNews {
    const place = `${change} ${number} ${hasFigures}`;
    const known = this.#latest.get(place);
    if (known !== undefined) return known;
    const ended = this.#deps.ended.after(number, ENDS_AT_ONCE);
    const last = ended.at(-1)?.number ?? number;
    const hasMore = hasFigures && change > 0;
    const news = {
      agents: this.#agentsSince(change, hasMore),
      progress: this.#progressSince(change),
      models: hasMore ? [...this.#seen].filter(([, { models }]) => models > change).map(([agent]) => agent) : [],
      removed: hasMore ? [...this.#removed].filter(([, at]) => at > change).map(([agent]) => agent) : [],
      ended,
      number: last,
    };
    this.#latest.set(place, news);
    return news;
  }

  #agentsSince(change: number, hasFigures: boolean): readonly AgentView[] {
    const isNew = (agent: SeenAgent): boolean => (hasFigures ? agent.figures : agent.change) > change;
    const changed = [...this.#seen.values()].filter(isNew).map(({ view }) => view);
    return change > 0 ? changed : changed.filter(({ reason }) => reason !== null);
  }

  #progressSince(change: number): readonly Job[] {
    const jobs = [...this.#seen.values()].flatMap(({ active }) => [...active.values()]);
    return jobs.filter((job) => job.change > change).map(({ job }) => job);
  }

  #beginLog(): void {
    const { courier, ended } = this.#deps;
    ended.begin(courier.now() - LEEWAY_MS);
  }

  #see(view: AgentView): void {
    this.#beginLog();
    const { agent, state, reason } = view;
    const before = this.#seen.get(agent);
    const changesBefore = this.#changes;
    const change = reason === (before?.view.reason ?? null) ? (before?.change ?? 0) : ++this.#changes;
    const seen = { view, change, ...this.#figuresOf(view, before) };
    this.#removed.delete(agent);
    if (state === null || before?.view.state === state)
      this.#seen.set(agent, { ...seen, active: before?.active ?? NO_JOBS });
    else {
      this.#seen.set(agent, { ...seen, active: this.#activeJobs(state, before) });
      this.#logEnds(view, state);
    }
    if (this.#changes > changesBefore) this.#gather();
  }

  /** Counted only while somebody listens: on a large fleet something changes all the time. */
  #figuresOf(view: AgentView, before: SeenAgent | undefined): Pick<SeenAgent, "figures" | "models"> {
    const { figures = 0, models = 0 } = before ?? {};
    if (this.#figureListeners === 0) return { figures, models };
    const now = ++this.#changes;
    return { figures: now, models: hasSameModels(before?.view, view) ? models : now };
  }

  #remove(agent: string): void {
    this.#seen.delete(agent);
    if (this.#figureListeners === 0) return;
    this.#removed.set(agent, ++this.#changes);
    const [oldest] = this.#removed.keys();
    if (this.#removed.size > REMOVED_KEPT && oldest !== undefined) this.#removed.delete(oldest);
    this.#gather();
  }

  #logEnds({ agent }: AgentView, { jobs, clock_offset_ms: clockOffsetMs }: State): void {
    const { ended, log } = this.#deps;
    try {
      const news = ended.news(jobs, clockOffsetMs);
      const hasRoom = this.#rate.room(agent) > news.length;
      // All the ends that a state can show are new: there may be more, also from before this server started.
      if (news.length >= LIMITS.endedJobsInState && hasRoom) this.#askForMore(agent, clockOffsetMs);
      this.#addNews(agent, news, clockOffsetMs);
      this.#unlogged.delete(agent);
    } catch (error) {
      if (this.#unlogged.size === 0) log.error({ error, agent }, "Cannot store the ends of jobs; retrying");
      this.#unlogged.add(agent);
    }
  }

  /** What the agent may not have in this hour stays news, for a later document of the agent. */
  #addNews(agent: string, news: readonly Job[], clockOffsetMs: number): void {
    if (news.length === 0) return;
    const taken = news.slice(0, this.#rate.room(agent));
    this.#deps.ended.add(taken, clockOffsetMs);
    this.#rate.take(agent, taken.length, news.length - taken.length);
  }

  /** The same document brings no other chance. */
  #logAgain(): void {
    for (const agent of this.#unlogged) {
      const view = this.#seen.get(agent)?.view;
      if (view?.state == null) this.#unlogged.delete(agent);
      else this.#logEnds(view, view.state);
    }
  }

  #activeJobs({ jobs }: State, before: SeenAgent | undefined): SeenAgent["active"] {
    const active = jobs.filter((job) => !isEnded(job)).map((job) => this.#activeJob(job, before));
    return active.length === 0 ? NO_JOBS : new Map(active.map((entry) => [entry.job.id ?? "", entry]));
  }

  #activeJob(job: Job, before: SeenAgent | undefined): ActiveJob {
    const known = before?.active.get(job.id ?? "");
    // The index keeps the object of a job that did not change.
    return known?.job === job ? known : { job, change: ++this.#changes };
  }

  /** Asks one agent after the other, because so many ends at once are rare. */
  #askForMore(agent: string, clockOffsetMs: number): void {
    const { courier, ended, log } = this.#deps;
    const ask = async (): Promise<void> => {
      try {
        const news = ended.news(await courier.jobHistory(agent), clockOffsetMs);
        this.#addNews(agent, news, clockOffsetMs);
      } catch (error) {
        log.warn({ error, agent }, "Cannot list the ended jobs of an agent: listeners may miss some");
      }
    };
    this.#asking = this.#asking.then(ask);
  }

  /** Wakes the listeners soon, once for all that changes until then. */
  #gather(): void {
    this.#latest.clear();
    if (this.#isGathering) return;
    this.#isGathering = true;
    void this.#deps.clock.sleep(GATHERED_MS, this.#closing.signal).then(() => this.#wake());
  }

  #wake(): void {
    this.#isGathering = false;
    this.#latest.clear();
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** The index keeps the objects of models that did not change. */
function hasSameModels(before: AgentView | undefined, after: AgentView): boolean {
  const [old, now] = [before?.state, after.state];
  if (old == null || now === null || old === now) return old === now;
  const [models, others] = [old.models ?? [], now.models ?? []];
  const isSame = models.length === others.length && models.every((model, index) => model === others[index]);
  return isSame && Bun.deepEquals(old.running, now.running);
}

/** Resolves at the change, after `HEARTBEAT_MS`, or when stopped. */
async function waitFor(changed: Promise<void>, clock: Clock, stop: AbortSignal): Promise<void> {
  const ended = new AbortController();
  await Promise.race([changed, clock.sleep(HEARTBEAT_MS, AbortSignal.any([stop, ended.signal]))]);
  ended.abort();
}
