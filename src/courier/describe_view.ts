// An agent's condition in words.
import { isoTime } from "../base/clock.ts";
import { formatAgo, formatDuration } from "../base/format.ts";
import type { AgentView } from "./agent_view.ts";

/** A view as an entry beside the agent's name: `online`, `silent for 34 s`, `stopped 5 minutes ago`. */
export function describeView(view: AgentView): string {
  const { reason, state } = view;
  if (reason === "stopped") return `stopped ${ago(view)}`;
  if (reason === "silent") return `silent for ${formatDuration(view.silentMs / 1000)}`;
  if (reason === "share_stale") return `last seen ${ago(view)}`;
  if (reason === "ollama_down") return `Ollama is not reachable: ${state?.ollama.error ?? "no reason given"}`;
  if (reason === "degraded") return `degraded: ${state?.degraded_reason ?? "no reason given"}`;
  return reason ?? "online";
}

/** As `describeView`, in words that stay true: `silent since 2026-11-28T12:00:00.000Z`. */
export function describeLastingly(view: AgentView): string {
  const { reason, lastSeenAt } = view;
  if (reason === "stopped" || reason === "silent") return `${reason} since ${lastSeenAt}`;
  return reason === "share_stale" ? `last seen at ${lastSeenAt}` : describeView(view);
}

/** A view as a sentence: `gpu-2 has been silent for 32 s`. */
export function describeAgent(view: AgentView): string {
  const description = describeView(view);
  if (view.reason === "stopped") return `${view.agent} ${description}`;
  if (view.reason === "silent") return `${view.agent} has been ${description}`;
  if (view.reason === "ollama_down") return `${view.agent}: ${description}`;
  return `${view.agent} ${view.reason === "share_stale" ? "was" : "is"} ${description}`;
}

function ago({ silentMs }: AgentView): string {
  return formatAgo(isoTime(0), silentMs);
}
