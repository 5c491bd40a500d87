// Adds to the queue of webhooks what happens on the fleet: the ends of jobs, and agents that go away, come back or have a problem.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Outage } from "../../base/outage.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { WatchedFleet } from "../../courier/index/watched_fleet.ts";
import type { JobFeed } from "../fleet/job_feed.ts";
import type { EndedJobs } from "../store/ended_jobs.ts";
import { agentChanged, type Condition, conditionOf, jobEnded } from "./events.ts";
import type { AgentChange, WebhookQueue } from "./queue/queue.ts";
import type { SharedQueue } from "./queue/shared_queue.ts";

export interface WatcherDeps {
  readonly feed: Pick<JobFeed, "listen">;
  readonly ended: Pick<EndedJobs, "after">;
  readonly fleet: Pick<WatchedFleet, "index">;
  readonly queue: WebhookQueue;
  /** Of several servers one reports changes of agents to all; null: this server is alone. */
  readonly shared: Pick<SharedQueue, "sends" | "report"> | null;
  /** Called after something was added. */
  readonly added: () => void;
  /** Of the queue in the store. */
  readonly store: Outage;
  readonly clock: Clock;
  readonly log: Log;
}

interface Unsettled {
  readonly condition: Condition;
  /** On the monotonic clock. */
  readonly sinceMs: number;
}

interface SettledChange {
  readonly agent: string;
  readonly condition: Condition;
  readonly event: ReturnType<typeof agentChanged>;
}

/** A shorter change is no event: an agent is away for seconds when it restarts. */
const SETTLED_MS = 10_000;
const ENDS_AT_ONCE = 200;
const HOUR_MS = 3_600_000;
/** After the store failed. */
const AGAIN_MS = 5_000;

export class Watcher {
  readonly #deps: WatcherDeps;
  /** As the store has them. */
  readonly #known: Map<string, string>;
  readonly #unsettled = new Map<string, Unsettled>();
  /** Agents whose changes are on their way to all servers. */
  readonly #reporting = new Set<string>();
  #hasSeenAll = false;
  #dropped = 0;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(deps: WatcherDeps) {
    this.#deps = deps;
    this.#known = new Map(deps.queue.conditions());
  }

  /** Watches until `stop` aborts, or the feed closes. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    const { fleet, clock } = this.#deps;
    const end = fleet.index.listen({ removed: (agent) => this.#take(() => this.#forget([agent])) });
    while (!(await this.#hasWatched(stop))) await clock.sleep(AGAIN_MS, stop);
    end();
  }

  /** Watches as `run()`. @returns false when the news failed: they read the store too */
  async #hasWatched(stop: AbortSignal): Promise<boolean> {
    try {
      // What ended before is read from the log: the news only show that there may be more. They come at least every 10 s.
      for await (const { agents } of this.#deps.feed.listen(undefined, stop)) this.#take(() => this.#add(agents));
      return true;
    } catch (error) {
      // At a stop too: no listener may then be begun again.
      if (stop.aborted) return true;
      this.#failed(error);
      return false;
    }
  }

  #take(work: () => void): void {
    try {
      work();
      this.#deps.store.ended("watcher");
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Ends are added with the next news. The conditions are compared again with the store's. */
  #failed(error: unknown): void {
    this.#hasSeenAll = false;
    this.#deps.store.failed("watcher", error);
  }

  #add(agents: readonly AgentView[]): void {
    this.#deps.queue.keepTargets(this.#deps.clock.now());
    this.#addEnds();
    const { index } = this.#deps.fleet;
    if (!this.#hasSeenAll && index.isComplete && index.failure === undefined) {
      const views = index.agents.items;
      const names = new Set(views.map(({ agent }) => agent));
      this.#forget([...this.#known.keys()].filter((agent) => !names.has(agent)));
      this.#addChanges(views);
      this.#hasSeenAll = true;
    } else this.#addChanges(agents);
    this.#addSettled();
  }

  /** Shows each addition at once: what comes after it may fail, and then nobody would send it. */
  #addEnds(): void {
    const { queue, ended, clock, added } = this.#deps;
    for (;;) {
      const ends = ended.after(queue.position, ENDS_AT_ONCE);
      if (ends.length === 0) return;
      const nowMs = clock.now();
      const events = ends.map(({ number, job }) => ({ number, ...jobEnded(job, nowMs) }));
      this.#count(queue.addEnds(events, nowMs));
      added();
    }
  }

  /** An agent that is seen for the first time has no event. */
  #addChanges(views: readonly AgentView[]): void {
    const { queue, clock } = this.#deps;
    const first: AgentChange[] = [];
    for (const view of views) {
      const condition = conditionOf(view);
      const known = this.#known.get(view.agent);
      if (condition === undefined || condition === known) this.#unsettled.delete(view.agent);
      else if (known === undefined) first.push({ agent: view.agent, condition, event: null });
      else if (this.#unsettled.get(view.agent)?.condition !== condition)
        this.#unsettled.set(view.agent, { condition, sinceMs: clock.monotonic() });
    }
    if (first.length > 0) queue.addChanges(first, clock.now());
    for (const { agent, condition } of first) this.#known.set(agent, condition);
  }

  #addSettled(): void {
    const { queue, fleet, clock, added, shared } = this.#deps;
    if (shared?.sends === false) return;
    const nowMs = clock.now();
    const settled: SettledChange[] = [];
    for (const [agent, { condition, sinceMs }] of this.#unsettled) {
      const view = fleet.index.view(agent);
      if (view === undefined || clock.monotonic() - sinceMs < SETTLED_MS) continue;
      settled.push({ agent, condition, event: agentChanged(view, condition, nowMs) });
    }
    if (shared !== null) return this.#report(settled);
    if (settled.length === 0) return;
    this.#count(queue.addChanges(settled, nowMs));
    added();
    for (const { agent, condition } of settled) {
      this.#known.set(agent, condition);
      this.#unsettled.delete(agent);
    }
  }

  /** As servers share them. */
  changed(conditions: ReadonlyMap<string, string>): void {
    for (const [agent, condition] of conditions) {
      this.#known.set(agent, condition);
      if (this.#unsettled.get(agent)?.condition === condition) this.#unsettled.delete(agent);
    }
  }

  /** A change that cannot be reported now stays unsettled, also on the next server that sends. */
  #report(settled: readonly SettledChange[]): void {
    const { shared, store, clock } = this.#deps;
    for (const change of settled) {
      const { agent } = change;
      if (shared === null || this.#reporting.has(agent)) continue;
      this.#reporting.add(agent);
      shared
        .report({ ...change, atMs: clock.now() })
        .then(() => store.ended("report"))
        .catch((error: unknown) => store.failed("report", error))
        .finally(() => this.#reporting.delete(agent));
    }
  }

  #forget(agents: readonly string[]): void {
    if (agents.length === 0) return;
    this.#deps.queue.forgetAgents(agents);
    for (const agent of agents) {
      this.#known.delete(agent);
      this.#unsettled.delete(agent);
    }
  }

  /** One line an hour is enough. */
  #count(dropped: number): void {
    const { clock, log } = this.#deps;
    this.#dropped += dropped;
    if (this.#dropped === 0 || clock.monotonic() - this.#loggedMs < HOUR_MS) return;
    log.warn({ dropped: this.#dropped }, "Too many webhook events are pending: dropped the oldest");
    this.#dropped = 0;
    this.#loggedMs = clock.monotonic();
  }
}
