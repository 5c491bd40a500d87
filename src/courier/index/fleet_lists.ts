// The lists of several agents: their views, models, loaded models and jobs, kept current by what changes on single agents.
import { compareTexts } from "../../base/order.ts";
import type { Job } from "../../protocol.ts";
import type { AgentView } from "../agent_view.ts";
import type { FleetModel } from "../fleet_model.ts";
import { AgentItems, reuse } from "./agent_items.ts";
import { type AgentRunningModel, type Contribution, contributionOf, NOTHING } from "./contribution.ts";
import { ChangingList, type FleetList } from "./fleet_list.ts";
import { JobsById } from "./jobs_by_id.ts";
import { MergedModels } from "./merged_models.ts";

const GONE: Contribution = { models: NOTHING, running: NOTHING, jobs: NOTHING, published: [] };

export class FleetLists {
  readonly #contributions = new Map<string, Contribution>();
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
    this.#lists.agents.update(view.agent, NOTHING, this.#views.replace(view.agent, [view]));
  }

  /** Lists what an agent has. */
  contribute(view: AgentView, clockOffsetMs: number): void {
    this.#contribute(view.agent, contributionOf(view), clockOffsetMs);
  }

  remove(agent: string): void {
    this.#contribute(agent, GONE, 0);
    this.#contributions.delete(agent);
    this.#lists.agents.update(agent, NOTHING, this.#views.replace(agent, []));
  }

  #contribute(agent: string, after: Contribution, clockOffsetMs: number): void {
    const { models, running, jobs } = this.#lists;
    const before = this.#contributions.get(agent) ?? GONE;
    this.#contributions.set(agent, after);
    this.#jobsById.replace(before.published, after.published);
    const hasModels = this.#merged.replace(agent, before.models.items, after.models.items, clockOffsetMs);
    models.update(agent, after.models, hasModels);
    const loaded = reuse(this.#running.of(agent), after.running.items, ({ name }) => name);
    running.update(agent, after.running, this.#running.replace(agent, loaded));
    jobs.update(agent, after.jobs, this.#jobs.replace(agent, after.jobs.items));
  }
}
