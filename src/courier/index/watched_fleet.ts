// The fleet for a program that runs on: an index that follows the transport, instead of a reading for each question.
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";
import type { Closable, Transport } from "../../transport.ts";
import type { KnownAgents } from "../../trust/agents/known_agents.ts";
import type { AgentView } from "../agent_view.ts";
import { FleetIndex } from "./fleet_index.ts";
import type { IndexedFleet } from "./indexed_fleet.ts";

export interface WatchedFleetDeps {
  readonly transport: Pick<Transport, "now" | "watchStates" | "readState" | "mostStates">;
  readonly clock: Clock;
  readonly log: Log;
  /** Whose documents count; by default each agent's first key of this process is its key. */
  readonly agents?: KnownAgents;
}

/** The first look at thousands of documents takes seconds. Callers do not wait longer for it, and may try again. */
const FIRST_LOOK_MS = 20_000;

export class WatchedFleet implements IndexedFleet {
  readonly index: FleetIndex;
  readonly #deps: WatchedFleetDeps;
  readonly #outage: Outage;
  readonly #looked = Promise.withResolvers<void>();
  #watch: Closable | undefined;

  constructor(deps: WatchedFleetDeps) {
    this.#deps = deps;
    this.index = new FleetIndex({ ...deps, mostAgents: deps.transport.mostStates });
    this.#outage = new Outage(deps);
  }

  /** Follows the transport from now on, which must be connected. @throws CourierError `unavailable` */
  async open(): Promise<void> {
    const { index } = this;
    this.#watch = await this.#deps.transport.watchStates({
      changed: (record) => index.changed(record),
      alive: (agent) => index.alive(agent),
      removed: (agent) => index.removed(agent),
      synced: (asOfMs) => {
        index.synced(asOfMs);
        this.#looked.resolve();
      },
      interrupted: (error) => {
        index.interrupted(error);
        this.#outage.failed("states", error);
        this.#looked.resolve();
      },
      restored: () => this.#outage.ended("states"),
      away: (agent, error) => index.away(agent, error !== null),
    });
  }

  async close(): Promise<void> {
    await this.#watch?.close();
  }

  async looked(): Promise<void> {
    if (this.index.isComplete || this.#watch === undefined) return;
    const late = new AbortController();
    await Promise.race([this.#looked.promise, this.#deps.clock.sleep(FIRST_LOOK_MS, late.signal)]);
    late.abort();
  }

  /** @throws CourierError also when the first look at the documents takes too long */
  async read(): Promise<readonly AgentView[]> {
    await this.requireCurrent();
    return this.lastKnown();
  }

  async find(agent: string): Promise<AgentView | undefined> {
    await this.requireCurrent();
    const known = this.index.view(agent);
    if (known !== undefined) return known;
    // It may have started since the last look.
    await this.refresh(agent);
    return this.index.view(agent);
  }

  lastKnown(): readonly AgentView[] {
    return [...this.index.agents.items];
  }

  async refresh(agent: string): Promise<void> {
    const record = await this.#deps.transport.readState(agent);
    if (record !== null) this.index.refreshed(record);
  }

  async requireCurrent(): Promise<void> {
    await this.looked();
    if (this.index.failure !== undefined) throw this.index.failure;
    if (!this.index.isComplete)
      throw new CourierError("unavailable", "Still reading the agents' states", { hint: "Try again" });
  }
}
