// The schemas that release 0.1.0 reads the wire and its ledger with, as they were: never edit them. What we write must fit.
import { z } from "zod";

const AgentName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be 1 to 63 of a-z, 0-9 and -, not beginning or ending with -");

const CommandId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, "must be 1 to 128 of A-Z, a-z, 0-9, _ and -");

const Code = z.enum([
  "invalid",
  "unauthenticated",
  "forbidden",
  "not_found",
  "conflict",
  "exhausted",
  "unavailable",
  "deadline_exceeded",
  "cancelled",
  "unimplemented",
  "internal",
]);

export const CommandV1 = z.object({
  version: z.undefined().optional(),
  command: z.string(),
  command_id: z.string().optional(),
  timestamp: z.unknown().optional(),
  model_name: z.string().optional(),
});

export const CommandV2 = z.object({
  version: z.literal(2),
  command: z.string(),
  command_id: CommandId,
  timestamp: z.string(),
  agent: AgentName,
  reply_to: AgentName,
  ttl_ms: z
    .int()
    .min(1)
    .max(24 * 3_600_000),
  model_name: z.string().optional(),
  arguments: z.record(z.string(), z.unknown()).optional(),
});

const Model = z.object({
  name: z.string(),
  size: z.number().nonnegative(),
  modified_at: z.string(),
  digest: z.string(),
});

const RunningModel = z.object({
  name: z.string(),
  size: z.number().nonnegative(),
  size_vram: z.number().nonnegative(),
  expires_at: z.string(),
});

const ModelDetails = z.object({
  details: z.record(z.string(), z.unknown()).optional(),
  capabilities: z.array(z.string()).optional(),
  parameters: z.string().optional(),
  template: z.string().optional(),
  license: z.string().optional(),
  model_info: z.record(z.string(), z.unknown()).optional(),
});

const JobState = z.enum(["queued", "running", "verifying", "succeeded", "failed", "cancelled"]);

const JobPhase = z.enum(["manifest", "downloading", "verifying", "writing"]);

const NotedLayer = z.object({
  digest: z.string(),
  total_bytes: z.number().nonnegative(),
  completed_bytes: z.number().nonnegative(),
  fetched: z.boolean(),
});

const Job = z.object({
  id: CommandId.nullable(),
  agent: AgentName,
  kind: z.literal("pull"),
  model: z.string(),
  state: JobState,
  completed_bytes: z.number().nonnegative(),
  total_bytes: z.number().nonnegative().nullable(),
  bytes_per_second: z.number().nonnegative().nullable(),
  eta_seconds: z.number().nonnegative().nullable(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  code: Code.nullable(),
  error: z.string().nullable(),
  phase: JobPhase.nullable().optional(),
  retries: z.int().nonnegative().optional(),
  note: z.string().nullable().optional(),
  partial_bytes: z.number().nonnegative().nullable().optional(),
});

/** A document of the table `jobs` in its ledger. */
export const KeptJob = Job.extend({
  force: z.boolean().default(false),
  layers: z.array(NotedLayer).default([]),
});

export const Response = z.object({
  success: z.boolean(),
  timestamp: z.string().optional(),
  models: z.array(Model).optional(),
  message: z.string().optional(),
  error: z.string().optional(),
  version: z.literal(2).optional(),
  command_id: CommandId.optional(),
  agent: AgentName.optional(),
  code: Code.optional(),
  hint: z.string().optional(),
  job: Job.optional(),
  jobs: z.array(Job).optional(),
  running: z.array(RunningModel).optional(),
  show: ModelDetails.optional(),
  freed_bytes: z.number().nonnegative().nullable().optional(),
  shared_bytes: z.number().nonnegative().nullable().optional(),
});

export const StateV1 = z.object({
  version: z.undefined().optional(),
  timestamp: z.string(),
  status: z.string(),
  processed_commands: z.number(),
  ollama_available: z.boolean(),
});

const SharedInboxMode = z.enum(["on", "off", "auto"]);

const OllamaHealth = z.object({
  reachable: z.boolean(),
  version: z.string().nullable(),
  error: z.string().nullable(),
  checked_at: z.string().nullable(),
});

const Disk = z.object({
  path: z.string(),
  free_bytes: z.number().nonnegative(),
  total_bytes: z.number().nonnegative(),
});

const Gpu = z.object({
  index: z.int().nonnegative(),
  uuid: z.string(),
  name: z.string(),
  memory_total_bytes: z.number().nonnegative().nullable(),
  memory_used_bytes: z.number().nonnegative().nullable(),
});

const AgentStatus = z.enum(["running", "draining", "stopped", "degraded"]);

export const State = z.object({
  timestamp: z.string(),
  status: AgentStatus,
  processed_commands: z.int().nonnegative(),
  ollama_available: z.boolean(),
  version: z.literal(2),
  agent: AgentName,
  instance: z.string(),
  sequence: z.int().nonnegative(),
  started_at: z.string(),
  agent_version: z.string(),
  host: z.string(),
  shared_inbox: SharedInboxMode,
  serves_shared_inbox: z.boolean(),
  clock_offset_ms: z.number(),
  refused_commands: z.int().nonnegative(),
  degraded_reason: z.string().nullable(),
  reading_only: z.boolean().optional(),
  commands: z.array(z.object({ command_id: CommandId, command: z.string(), started_at: z.string() })),
  ollama: OllamaHealth,
  models: z.array(Model).nullable(),
  model_count: z.int().nonnegative().nullable(),
  running: z.array(RunningModel),
  jobs: z.array(Job),
  job_count: z.int().nonnegative(),
  disk: Disk.nullable(),
  gpus: z.array(Gpu),
  truncated: z.array(z.string()),
});
