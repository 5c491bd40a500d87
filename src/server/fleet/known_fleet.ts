// The fleet as the routes see it, also while the share cannot be read.
import { asCourierError, type CourierError } from "../../base/errors.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { IndexedFleet } from "../../courier/index/indexed_fleet.ts";
import { noAgent, unknownAgent } from "../../courier/refusals.ts";
import type { Unavailable } from "../../courier/unavailable.ts";
import type { Connection } from "./connection.ts";

export interface KnownFleet {
  readonly views: readonly AgentView[];
  /** Why these are only the last known views; undefined: they are current. */
  readonly failure: CourierError | undefined;
}

interface Parts {
  readonly fleet: Pick<IndexedFleet, "requireCurrent" | "lastKnown" | "index">;
  readonly connection: Pick<Connection, "requireOpen">;
}

/**
 * Why the index of the fleet is only the last known one, with all agents offline; undefined: it is current.
 * @throws CourierError `unavailable` when no agent was ever seen
 */
export async function fleetFailure({ fleet, connection }: Parts): Promise<CourierError | undefined> {
  try {
    connection.requireOpen();
    await fleet.requireCurrent();
    return undefined;
  } catch (error) {
    const failure = asCourierError(error);
    const { isComplete, agents } = fleet.index;
    // A part of the fleet is no last known fleet: it would deny agents and jobs that exist.
    if (failure.code !== "unavailable" || !isComplete || agents.items.length === 0) throw error;
    return failure;
  }
}

/** Every agent. @throws CourierError as `fleetFailure()` */
export async function readFleet(parts: Parts): Promise<KnownFleet> {
  const failure = await fleetFailure(parts);
  return { views: parts.fleet.lastKnown(), failure };
}

/**
 * The views of one agent, or all.
 * @throws CourierError `not_found` when no agent has this name
 */
export function selectViews({ views }: KnownFleet, agent: string | undefined): readonly AgentView[] {
  if (agent === undefined) return views;
  const selected = views.filter((view) => view.agent === agent);
  if (selected.length > 0) return selected;
  throw unknownAgent(agent, views);
}

/**
 * The result of `read`, or, while the share cannot be read, what `stale` makes of the last known views.
 * @param agent the only agent wanted; undefined: all
 * @param wantsLastKnown whether the last known views also do where the share can be read, but the agent does not answer
 * @throws CourierError what `read` threw, when the share can be read or no agent was ever seen
 */
export async function readOrLastKnown<Answer>(
  parts: Parts,
  agent: string | undefined,
  read: () => Promise<Answer>,
  stale: (views: readonly AgentView[], unavailable: readonly Unavailable[]) => Answer,
  wantsLastKnown = false,
): Promise<Answer> {
  try {
    parts.connection.requireOpen();
    return await read();
  } catch (error) {
    const refusal = asCourierError(error);
    if (refusal.code !== "unavailable") throw error;
    const fleet = await readFleet(parts);
    if (fleet.failure === undefined && !wantsLastKnown) throw error;
    const views = selectViews(fleet, agent);
    return stale(views, staleAgents(views, fleet.failure ?? refusal));
  }
}

function staleAgents(views: readonly AgentView[], { code, message }: CourierError): Unavailable[] {
  return views.map(({ agent, lastSeenAt, state }) => {
    const cut = state?.truncated ?? [];
    const partly = cut.length === 0 ? "" : `, without its whole list of ${cut.join(" and ")}`;
    return { agent, code, reason: `As last seen at ${lastSeenAt}${partly}. ${message}` };
  });
}

/**
 * The agents that are online.
 * @throws CourierError `unavailable` with the condition of each agent when all are offline
 */
export function requireOnline(views: readonly AgentView[]): readonly AgentView[] {
  const online = views.filter((view) => view.online);
  if (online.length > 0) return online;
  throw noAgent(views);
}
