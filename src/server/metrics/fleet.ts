// The metrics of the fleet as one caller sees it, made from the index when somebody asks: nothing is kept for a box.
import { instantMs } from "../../base/clock.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { addAbout, addFigures, addStatus, type Shown } from "../../program/metrics/box.ts";
import type { MetricsText } from "../../program/metrics/text.ts";

/** Documents under an agent's name that did not count. */
export interface Forgeries {
  readonly states: (agent: string) => number;
  readonly responses: (agent: string) => number;
}

export function addAgents(
  text: MetricsText,
  views: readonly AgentView[],
  shown: Shown,
  { states, responses }: Forgeries,
): void {
  for (const view of views) {
    const labels = `agent="${view.agent}"`;
    text.add("gpu_courier_agent_up", labels, view.online);
    addStatus(text, view.agent, view.reason ?? "online");
    text.add("gpu_courier_agent_last_seen_timestamp_seconds", labels, instantMs(view.lastSeenAt) / 1000);
    text.add("gpu_courier_agent_name_conflict", labels, isInConflict(view));
    text.add("gpu_courier_forged_documents_total", `${labels},document="state"`, states(view.agent));
    text.add("gpu_courier_forged_documents_total", `${labels},document="response"`, responses(view.agent));
    if (view.state !== null) addAbout(text, view.agent, view.state);
    if (view.online) addLiveFigures(text, labels, view, shown);
  }
}

/** Of a box that is away they would be a flat line of the past. */
function addLiveFigures(
  text: MetricsText,
  labels: string,
  { agent, state, legacyState }: AgentView,
  shown: Shown,
): void {
  if (legacyState !== null) text.add("gpu_courier_ollama_up", labels, legacyState.ollama_available);
  if (state === null) return;
  if (state.ollama.checked_at !== null) text.add("gpu_courier_ollama_up", labels, state.ollama.reachable);
  addFigures(text, agent, state, shown);
}

/** An agent that finds another one under its name serves nothing, not even reading verbs. */
function isInConflict({ reason, state, key }: AgentView): boolean {
  return key?.trouble?.kind === "conflict" || (reason === "degraded" && state?.reading_only !== true);
}
