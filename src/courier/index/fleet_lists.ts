// The lists of several agents: their views, models, loaded models and jobs, kept current by what changes on single agents.
import { compareTexts } from "../../base/order.ts";
import type { Job } from "../../protocol.ts";
import type { AgentView } from "../agent_view.ts";
import type { FleetModel } from "../fleet_model.ts";
import { AgentItems, reuse } from "./agent_items.ts";
import { type AgentRunningModel, type Contribution, contributionOf, NOTHING } from "./contribution.ts";
import { ChangingList, type FleetList } from "./fleet_list.ts";
import { JobsById } from "./jobs_by_id.ts";
import { type MergedCopy, MergedModels } from "./merged_models.ts";

const GONE: Contribution = { models: NOTHING, running: NOTHING, jobs: NOTHING, published: [] };

/** What the next contribution of an agent is compared with. A large fleet has many: no more than that. */
interface Contributed {
  readonly models: readonly MergedCopy[];
  readonly published: readonly Job[];
  readonly hasModels: boolean;
  readonly hasRunning: boolean;
  readonly hasJobs: boolean;
}

const NONE: Contributed = { models: [], published: [], hasModels: false, hasRunning: false, hasJobs: false };

export class FleetLists {
  readonly #contributed = new Map<string, Contributed>();
  readonly #views = new AgentItems<AgentView>((a, b) => compareTexts(a.agent, b.agent));
  readonly #merged = new MergedModels();
  readonly #running = new AgentItems<AgentRunningModel>(
    (a, b) => compareTexts(a.name, b.name) || compareTexts(a.agent, b.agent),
  );
  readonly #jobs = new AgentItems<Job>(
    (a, b) => compareTexts(a.agent, b.agent) || compareTexts(a.id ?? "", b.id ?? ""),
  );
  /** Also those of documents that were cut. */
  readonly #jobsById = new JobsById();
  readonly #lists = {
    agents: new ChangingList<AgentView>(() => this.#views.items),
    models: new ChangingList<FleetModel>(() => this.#merged.items),
    running: new ChangingList<AgentRunningModel>(() => this.#running.items),
    jobs: new ChangingList<Job>(() => this.#jobs.items),
  };
  readonly agents: FleetList<AgentView> = this.#lists.agents;
  readonly models: FleetList<FleetModel> = this.#lists.models;
  readonly running: FleetList<AgentRunningModel> = this.#lists.running;
  readonly jobs: FleetList<Job> = this.#lists.jobs;

  job(id: string, agent?: string): Job | undefined {
    return this.#jobsById.get(id, agent);
  }

  /** Lists the agent itself; its models and jobs stay as they were. */
  show(view: AgentView): void {
    this.#showItself(view.agent, [view]);
  }

  /** Lists what an agent has. */
  contribute(view: AgentView, clockOffsetMs: number): void {
    this.#contribute(view.agent, contributionOf(view), clockOffsetMs);
  }

  remove(agent: string): void {
    this.#contribute(agent, GONE, 0);
    this.#contributed.delete(agent);
    this.#showItself(agent, []);
  }

  #showItself(agent: string, views: readonly AgentView[]): void {
    const hasChanged = this.#views.replace(agent, views);
    this.#lists.agents.update(agent, NOTHING, { wasPresent: false, hasChanged });
  }

  #contribute(agent: string, after: Contribution, clockOffsetMs: number): void {
    const { models, running, jobs } = this.#lists;
    const before = this.#contributed.get(agent) ?? NONE;
    const merged = this.#merged.replace(agent, before.models, after.models.items, clockOffsetMs);
    this.#contributed.set(agent, {
      models: merged,
      published: after.published,
      hasModels: after.models.isPresent,
      hasRunning: after.running.isPresent,
      hasJobs: after.jobs.isPresent,
    });
    this.#jobsById.replace(before.published, after.published);
    models.update(agent, after.models, { wasPresent: before.hasModels, hasChanged: merged !== before.models });
    const loaded = reuse(this.#running.of(agent), after.running.items, ({ name }) => name);
    const otherRunning = this.#running.replace(agent, loaded);
    running.update(agent, after.running, { wasPresent: before.hasRunning, hasChanged: otherRunning });
    const otherJobs = this.#jobs.replace(agent, after.jobs.items);
    jobs.update(agent, after.jobs, { wasPresent: before.hasJobs, hasChanged: otherJobs });
  }
}
