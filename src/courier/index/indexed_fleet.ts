// What the routes of gpu-server read: the agents that a caller sees and their lists, all or some of the fleet.
import type { CourierError } from "../../base/errors.ts";
import type { Job } from "../../protocol.ts";
import type { AgentView } from "../agent_view.ts";
import type { FleetReader } from "../fleet.ts";
import type { FleetModel } from "../fleet_model.ts";
import type { AgentRunningModel } from "./contribution.ts";
import type { FleetList } from "./fleet_list.ts";

export interface FleetView {
  /** Whether every document that existed at the start was read. */
  readonly isComplete: boolean;
  /** Why the lists may be old; undefined: they are current. */
  readonly failure: CourierError | undefined;
  /** Every agent, in order of names. `away` and `cut` are empty. */
  readonly agents: FleetList<AgentView>;
  /** The newest first. */
  readonly models: FleetList<FleetModel>;
  /** In order of names, then of agents. */
  readonly running: FleetList<AgentRunningModel>;
  /** In order of agents, then of ids. */
  readonly jobs: FleetList<Job>;
  /** Whether a list is current and has the items of all agents that are there, of at least one. */
  holdsAll(list: FleetList<unknown>): boolean;
  view(agent: string): AgentView | undefined;
  /** A job that a state document shows. @param agent whose it is; undefined: of several that have it, the first that had it */
  job(id: string, agent?: string): Job | undefined;
}

export interface IndexedFleet extends FleetReader {
  readonly index: FleetView;
  /** Resolves after the first look at all documents, at once before it has begun or when they cannot be read. Never rejects. */
  looked(): Promise<void>;
  /** @throws CourierError `unavailable` when the index is not current, or not complete after a while */
  requireCurrent(): Promise<void>;
}
