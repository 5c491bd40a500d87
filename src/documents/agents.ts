// The documents about agents that `/v1` serves and `gpuctl --json` prints.
import { z } from "zod";
import type { AgentView } from "../courier/agent_view.ts";
import { AgentName, Disk, Gpu, isEnded, Labels, Memory, OllamaHealth, Platform } from "../protocol.ts";
import { instantOrNull } from "./instants.ts";
import { Bytes, Instant, orNull } from "./named.ts";
import { keyFields, keyOf } from "./trust.ts";
import { nextPage } from "./unavailable.ts";

const AgentReason = z
  .enum(["stopped", "silent", "share_stale", "ollama_down", "draining", "degraded"])
  .meta({ id: "AgentReason" });
const OllamaDocument = OllamaHealth.extend({ checked_at: Instant.nullable() }).meta({ id: "OllamaHealth" });
const DiskDocument = Disk.extend({ free_bytes: Bytes, total_bytes: Bytes }).meta({
  id: "Disk",
  description: "The disk with the models.",
});
const GpuDocument = Gpu.extend({ memory_total_bytes: Bytes.nullable(), memory_used_bytes: Bytes.nullable() }).meta({
  id: "Gpu",
});
const MemoryDocument = Memory.extend({ total_bytes: Bytes, available_bytes: Bytes }).meta({
  id: "Memory",
  description: "The main memory. `available_bytes` is what programs can still take without swapping.",
});
/** In words, and only of an agent that has the problem. */
const problemFields = {
  degraded_reason: z.string().optional(),
  key_trouble: z
    .object({ kind: z.string(), reason: z.string() })
    .meta({ description: "Why the agent's last document does not count" })
    .optional(),
};

export const AgentDocument = z
  .object({
    agent: AgentName,
    status: z.enum(["online", "offline"]).meta({ id: "AgentStatus" }),
    /** Why it is offline, or what is wrong although it is online. */
    reason: orNull(AgentReason),
    last_seen_at: Instant,
    agent_version: z.string().nullable(),
    ollama: OllamaDocument,
    model_count: z.int().nonnegative().nullable(),
    /** Queued or running. */
    job_count: z.int().nonnegative().nullable(),
    disk: orNull(DiskDocument),
    gpus: z.array(GpuDocument).nullable(),
    /** The main memory of the agent's machine. */
    memory: orNull(MemoryDocument),
    platform: orNull(Platform.meta({ id: "Platform" })),
    labels: Labels.nullable(),
    protected: z
      .array(z.string())
      .optional()
      .meta({ description: "Patterns of models that no command deletes there; missing: none is known" }),
    /** The share's clock minus the clock of the agent's machine. */
    clock_offset_ms: z.number().nullable(),
    ...keyFields,
    ...problemFields,
  })
  .meta({
    id: "Agent",
    description: "One agent in brief. null: unknown (most fields are unknown for a legacy service).",
  });
export type AgentDocument = z.infer<typeof AgentDocument>;

export const AgentsDocument = z.object({ agents: z.array(AgentDocument), next: nextPage }).meta({ id: "Agents" });
export type AgentsDocument = z.infer<typeof AgentsDocument>;

export function agentsDocument(views: readonly AgentView[]): AgentsDocument {
  return { agents: views.map(agentDocument) };
}

export function agentDocument({
  agent,
  online,
  reason,
  lastSeenAt,
  state,
  legacyState,
  key,
}: AgentView): AgentDocument {
  return {
    agent,
    status: online ? "online" : "offline",
    reason,
    last_seen_at: lastSeenAt,
    agent_version: state?.agent_version ?? null,
    ollama: ollamaOf(state?.ollama ?? unknownOllama(legacyState?.ollama_available ?? false)),
    model_count: state?.model_count ?? null,
    job_count: state?.jobs.filter((job) => !isEnded(job)).length ?? null,
    disk: state?.disk ?? null,
    gpus: state?.gpus ?? null,
    memory: state?.memory ?? null,
    platform: state?.platform ?? null,
    labels: state?.labels ?? null,
    ...(state?.protected === undefined ? {} : { protected: state.protected }),
    clock_offset_ms: state?.clock_offset_ms ?? null,
    ...keyOf(key),
    ...(state?.degraded_reason ? { degraded_reason: state.degraded_reason } : {}),
    ...(key?.trouble ? { key_trouble: { kind: key.trouble.kind, reason: key.trouble.reason } } : {}),
  };
}

function ollamaOf(health: OllamaHealth): OllamaHealth {
  return { ...health, checked_at: instantOrNull(health.checked_at) };
}

function unknownOllama(reachable: boolean): OllamaHealth {
  return { reachable, version: null, error: null, checked_at: null };
}
