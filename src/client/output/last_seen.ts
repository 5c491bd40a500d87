// For how long the agents that are offline have not been seen: what is known of their jobs is as old.
import { formatDuration } from "../../base/format.ts";
import type { AgentView } from "../../courier/agent_view.ts";

/** In ms; undefined: the agent is online, or unknown. */
export type LastSeen = (agent: string) => number | undefined;

export function lastSeen(views: readonly AgentView[]): LastSeen {
  const away = views.filter(({ online, state }) => !online && state !== null);
  const silentMs = new Map(away.map((view) => [view.agent, view.silentMs]));
  return (agent) => silentMs.get(agent);
}

/** In the largest unit: `5 min ago`. */
export function shortAgo(seconds: number): string {
  if (Number.isNaN(seconds)) return "";
  const unit = [86_400, 3_600, 60].find((each) => seconds >= each) ?? 1;
  return seconds < 1 ? "just now" : `${formatDuration(Math.floor(seconds / unit) * unit)} ago`;
}
