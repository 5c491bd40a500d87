// Some agents of the fleet, as if they were all there are: an agent that is left out and one that does not exist look alike.
import { asCourierError, type CourierError } from "../../base/errors.ts";
import type { Job } from "../../protocol.ts";
import type { AgentView } from "../agent_view.ts";
import type { FleetIndex } from "./fleet_index.ts";
import type { FleetList } from "./fleet_list.ts";
import { FleetLists } from "./fleet_lists.ts";
import type { FleetView, IndexedFleet } from "./indexed_fleet.ts";
import { withoutPlace } from "./share_away.ts";
import type { WatchedFleet } from "./watched_fleet.ts";

type WholeFleet = Pick<WatchedFleet, "find" | "refresh" | "looked" | "requireCurrent"> & { readonly index: FleetIndex };

/** Its lists follow those of the whole fleet until it is closed. They cost as much as its own agents, however many others there are. */
export class ScopedFleet implements IndexedFleet {
  readonly index: ScopedIndex;
  readonly #fleet: WholeFleet;
  readonly #agents: ReadonlySet<string>;

  /** @param agents by name; they need not exist */
  constructor(fleet: WholeFleet, agents: ReadonlySet<string>) {
    this.#fleet = fleet;
    this.#agents = agents;
    this.index = new ScopedIndex(fleet.index, agents);
  }

  close(): void {
    this.index.close();
  }

  async looked(): Promise<void> {
    await this.#fleet.looked();
  }

  async requireCurrent(): Promise<void> {
    await this.#reworded(this.#fleet.requireCurrent());
  }

  async read(): Promise<readonly AgentView[]> {
    await this.requireCurrent();
    return this.lastKnown();
  }

  async find(agent: string): Promise<AgentView | undefined> {
    if (this.#agents.has(agent)) return await this.#reworded(this.#fleet.find(agent));
    await this.requireCurrent();
    return undefined;
  }

  lastKnown(): readonly AgentView[] {
    return [...this.index.agents.items];
  }

  async refresh(agent: string): Promise<void> {
    if (this.#agents.has(agent)) await this.#reworded(this.#fleet.refresh(agent));
  }

  async #reworded<Result>(work: Promise<Result>): Promise<Result> {
    return await work.catch((error: unknown) => {
      throw withoutPlace(asCourierError(error));
    });
  }
}

class ScopedIndex implements FleetView {
  readonly #index: FleetIndex;
  readonly #agents: ReadonlySet<string>;
  readonly #lists = new FleetLists();
  readonly agents = this.#lists.agents;
  readonly models = this.#lists.models;
  readonly running = this.#lists.running;
  readonly jobs = this.#lists.jobs;
  readonly close: () => void;

  constructor(index: FleetIndex, agents: ReadonlySet<string>) {
    this.#index = index;
    this.#agents = agents;
    for (const agent of agents) {
      const view = index.view(agent);
      if (view !== undefined) this.#see(view);
    }
    this.close = index.listen({
      changed: (view) => {
        if (agents.has(view.agent)) this.#see(view);
      },
      removed: (agent) => {
        if (agents.has(agent)) this.#lists.remove(agent);
      },
    });
  }

  get isComplete(): boolean {
    return this.#index.isComplete;
  }

  get failure(): CourierError | undefined {
    const { failure } = this.#index;
    return failure === undefined ? undefined : withoutPlace(failure);
  }

  holdsAll(list: FleetList<unknown>): boolean {
    return this.#index.holdsAll(list);
  }

  view(agent: string): AgentView | undefined {
    return this.#agents.has(agent) ? this.#index.view(agent) : undefined;
  }

  job(id: string, agent?: string): Job | undefined {
    return this.#lists.job(id, agent);
  }

  #see(view: AgentView): void {
    this.#lists.show(view);
    this.#lists.contribute(view, this.#index.clockOffsetMs(view.agent));
  }
}
