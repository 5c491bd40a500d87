// How a box is, in words.
import { formatAgo, formatDuration } from "../../base/format.ts";
import type { AgentDocument } from "../../documents/agents.ts";
import type { Tone } from "../parts/status.tsx";

export interface BoxStatus {
  readonly tone: Tone;
  /** `Online`, or what is wrong, short. */
  readonly words: string;
  /** The reason, in the words of the box. Empty: there is no more to say. */
  readonly reason: string;
}

/** Its figures are as old as its last document. */
export function isAway({ status }: AgentDocument): boolean {
  return status === "offline";
}

export function hasProblem({ status, reason, key_trouble }: AgentDocument): boolean {
  return status === "offline" || reason !== null || key_trouble !== undefined;
}

/** @param nowMs by the clock of the server */
export function statusOf(box: AgentDocument, nowMs: number): BoxStatus {
  const { key_trouble: trouble } = box;
  if (trouble?.kind === "conflict") return { tone: "bad", words: "Key conflict", reason: trouble.reason };
  return statusByReason(box, nowMs);
}

function statusByReason(box: AgentDocument, nowMs: number): BoxStatus {
  const { reason, last_seen_at: seen } = box;
  const silentS = Math.max(0, (nowMs - Date.parse(seen)) / 1000);
  switch (reason) {
    case null:
      return box.status === "online"
        ? { tone: "good", words: "Online", reason: "" }
        : { tone: "bad", words: "Away", reason: box.key_trouble?.reason ?? "" };
    case "ollama_down":
      return { tone: "bad", words: "Ollama down", reason: box.ollama.error ?? "Ollama is not reachable" };
    case "degraded":
      return { tone: "warn", words: "Degraded", reason: box.degraded_reason ?? "No reason given" };
    case "draining":
      return { tone: "warn", words: "Stopping", reason: "Finishing current work" };
    case "stopped":
      return { tone: "idle", words: "Stopped", reason: formatAgo(seen, nowMs) };
    case "silent":
      return { tone: "bad", words: "Away", reason: `No heartbeat for ${formatDuration(silentS)}` };
    case "share_stale":
      break;
  }
  return { tone: "warn", words: "Unknown", reason: `The share cannot be read. Last seen ${formatAgo(seen, nowMs)}` };
}
