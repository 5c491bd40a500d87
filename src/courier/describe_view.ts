// An agent's condition in words.
import { isoTime } from "../base/clock.ts";
import { formatAgo, formatDuration } from "../base/format.ts";
import type { AgentView } from "./agent_view.ts";

/** A view as an entry beside the agent's name: `online`, `silent for 34 s`, `stopped 5 minutes ago`. */
export function describeView(view: AgentView): string {
  return withConflict(view, describeReason);
}

/** As `describeView`, in words that stay true: `silent since 2026-11-28T12:00:00.000Z`. */
export function describeLastingly(view: AgentView): string {
  return withConflict(view, (each) => {
    const { reason, lastSeenAt } = each;
    if (reason === "stopped" || reason === "silent") return `${reason} since ${lastSeenAt}`;
    return reason === "share_stale" ? `last seen at ${lastSeenAt}` : describeReason(each);
  });
}

/** A view as a sentence: `gpu-2 has been silent for 32 s`. */
export function describeAgent(view: AgentView): string {
  const description = describeView(view);
  if (view.reason === "ollama_down" || !hasDocument(view)) return `${view.agent}: ${description}`;
  if (view.reason === "stopped") return `${view.agent} ${description}`;
  if (view.reason === "silent") return `${view.agent} has been ${description}`;
  return `${view.agent} ${view.reason === "share_stale" ? "was" : "is"} ${description}`;
}

/** Whether a document of the agent counts. */
export function hasDocument({ state, legacyState }: AgentView): boolean {
  return state !== null || legacyState !== null;
}

function describeReason(view: AgentView): string {
  const { reason, state } = view;
  if (reason === "stopped") return `stopped ${ago(view)}`;
  if (reason === "silent") return `silent for ${formatDuration(view.silentMs / 1000)}`;
  if (reason === "share_stale") return `last seen ${ago(view)}`;
  if (reason === "ollama_down") return `Ollama is not reachable: ${state?.ollama.error ?? "no reason given"}`;
  if (reason === "degraded") return `degraded: ${state?.degraded_reason ?? "no reason given"}`;
  return reason ?? "online";
}

/** While the agent has a document that counts, only a conflict is worth a word: the agent may have a new key. */
function withConflict(view: AgentView, describe: (view: AgentView) => string): string {
  const trouble = view.key?.trouble ?? null;
  if (trouble?.kind === "conflict") {
    const conflict = `conflict: ${trouble.reason}`;
    return hasDocument(view) ? `${describe(view)}; ${conflict}` : conflict;
  }
  if (hasDocument(view)) return describe(view);
  return `its document does not count: ${trouble?.reason ?? "it cannot be read"}`;
}

function ago({ silentMs }: AgentView): string {
  return formatAgo(isoTime(0), silentMs);
}
