// The documents that `/v1` answers and `gpuctl --json` prints, as schemas. Imports zod and the protocol.
// Each schema and its type share one name; the builders are in documents.ts. Jobs: job_schemas.ts; verbs: verb_schemas.ts.
import { z } from "zod";
import { AgentName, Code, Disk, Model, OllamaHealth } from "../protocol.ts";

/** One agent, in short. Null: unknown, as most is of a legacy service. */
export const AgentDocument = z
  .object({
    agent: AgentName,
    status: z.enum(["online", "offline"]),
    /** Why it is offline, or what is wrong although it is online. */
    reason: z.enum(["stopped", "silent", "share_stale", "ollama_down", "draining", "degraded"]).nullable(),
    last_seen_at: z.string(),
    agent_version: z.string().nullable(),
    ollama: OllamaHealth,
    model_count: z.int().nonnegative().nullable(),
    /** Queued or under way. */
    job_count: z.int().nonnegative().nullable(),
    disk: Disk.nullable(),
    /** The share's clock minus the box's. */
    clock_offset_ms: z.number().nullable(),
  })
  .meta({ id: "Agent", description: "One agent, in short. Null: unknown, as most is of a legacy service." });
export type AgentDocument = z.infer<typeof AgentDocument>;

export const AgentsDocument = z.object({ agents: z.array(AgentDocument) }).meta({ id: "Agents" });
export type AgentsDocument = z.infer<typeof AgentsDocument>;

/** Present only when some of the agents asked could not say. */
export const unavailable = z
  .array(z.object({ agent: AgentName, code: Code, reason: z.string() }).meta({ id: "Unavailable" }))
  .optional();

/** A model with the agents that hold it. */
export const ModelDocument = Model.extend({ agents: z.array(AgentName) }).meta({
  id: "Model",
  description: "An installed model, and the agents that hold it. Bytes; the digest is of its manifest.",
});
export type ModelDocument = z.infer<typeof ModelDocument>;

export const ModelsDocument = z.object({ models: z.array(ModelDocument), unavailable }).meta({ id: "Models" });
export type ModelsDocument = z.infer<typeof ModelsDocument>;

/** Left out where the agent cannot see its disk. */
const FreedBytes = z.number().nonnegative().optional();

/** What became of a delete on each agent; `code` and `error` are null where it succeeded. */
export const DeletedDocument = z
  .object({
    agents: z.array(
      z.object({
        agent: AgentName,
        model: z.string(),
        code: Code.nullable(),
        error: z.string().nullable(),
        freed_bytes: FreedBytes.meta({ description: "What the delete freed on its disk" }),
        shared_bytes: FreedBytes.meta({ description: "What stays there: other models share it" }),
      }),
    ),
  })
  .meta({ id: "Deleted", description: "What became of it on each agent; null where it succeeded." });
export type DeletedDocument = z.infer<typeof DeletedDocument>;
