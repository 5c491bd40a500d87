// One agent's condition, judged from its state document and from when that changed.
import { isoTime } from "../base/clock.ts";
import { sameModel } from "../base/model_name.ts";
import type { Sighting } from "../base/sightings.ts";
import type { State, StateV1 } from "../protocol.ts";
import type { AgentKey } from "../trust/agents/known_agents.ts";
import type { LastDocument } from "./verified_states.ts";

type AgentReason = "stopped" | "silent" | "share_stale" | "ollama_down" | "draining" | "degraded";

/** One agent as the platform side sees it. */
export interface AgentView {
  readonly agent: string;
  readonly online: boolean;
  /** The reason why it is offline, or the problem of an online agent; null when there is no problem. */
  readonly reason: AgentReason | null;
  /** When its document last changed, ISO 8601 on the transport's clock. */
  readonly lastSeenAt: string;
  /** For how long its document has stayed the same. */
  readonly silentMs: number;
  /** Its state; null for a legacy service, which has only `legacyState`. Without both, no document of the agent counts. */
  readonly state: State | null;
  readonly legacyState: StateV1 | null;
  /** Null: it does not sign. */
  readonly key: AgentKey | null;
}

/** Whether an agent is online, and its problem: of a live one, what its document says. */
export function judge(
  { state, legacyState }: LastDocument,
  isLive: boolean,
): { readonly online: boolean; readonly reason: AgentReason | null } {
  const stopped = state?.status === "stopped";
  return {
    online: isLive && !stopped,
    reason: stopped ? "stopped" : isLive ? onlineReason(state, legacyState) : "silent",
  };
}

export function viewOf(
  { agent, document, publishedAtMs, silentMs, isLive }: Sighting<LastDocument>,
  key: AgentKey | null,
): AgentView {
  return { agent, ...judge(document, isLive), lastSeenAt: isoTime(publishedAtMs), silentMs, ...document, key };
}

/** Whether it may come back. A legacy service never says that it stops, so a silent one is gone. */
export function isPresent({ reason, legacyState, online }: AgentView): boolean {
  return reason !== "stopped" && (legacyState === null || online);
}

export function holdsModel({ state }: AgentView, model: string): boolean {
  return state?.models?.some(({ name }) => sameModel(name, model)) ?? false;
}

function onlineReason(state: State | null, legacyState: StateV1 | null): AgentReason | null {
  if (state === null) return legacyState?.ollama_available === false ? "ollama_down" : null;
  if (state.status === "draining" || state.status === "degraded") return state.status;
  return state.ollama.checked_at !== null && !state.ollama.reachable ? "ollama_down" : null;
}
