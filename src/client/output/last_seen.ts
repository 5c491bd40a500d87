// For how long the agents that are offline have not been seen: what is known of their jobs is as old.
import { isoTime } from "../../base/clock.ts";
import { formatAgo } from "../../base/format.ts";
import type { AgentView } from "../../courier/agent_view.ts";

/** In ms; undefined: the agent is online, or unknown. */
export type LastSeen = (agent: string) => number | undefined;

export function lastSeen(views: readonly AgentView[]): LastSeen {
  const away = views.filter(({ online, state }) => !online && state !== null);
  const silentMs = new Map(away.map((view) => [view.agent, view.silentMs]));
  return (agent) => silentMs.get(agent);
}

/** `4 minutes ago` */
export function formatLastSeen(lastSeenMs: number): string {
  return formatAgo(isoTime(0), lastSeenMs);
}
