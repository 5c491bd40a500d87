// What crosses a transport: schemas and types of both dialects, names, limits, versions. Imports zod only.
// Each schema and its type share one name. The contract in words is docs/protocol.md.
import { z } from "zod";

/**
 * The dialects, newest last.
 * - 1 (2025-07): the original. No `version` field; commands in the shared inbox; `list_models pull_model delete_model`.
 * - 2 (2026-11): `version: 2`; addressed (`agent`), answered into the sender's own folder (`reply_to`), valid for `ttl_ms`;
 *   adds `ping` and, in the list of verbs, those that later releases serve. Adds fields, changes the meaning of none.
 */
export const PROTOCOL_VERSION = 2;

/** Bounds on what is read from a transport; whatever is larger is refused unread. Bytes, ms and counts. */
export const LIMITS = {
  commandBytes: 64 * 1024,
  responseBytes: 4 * 1024 * 1024,
  stateBytes: 256 * 1024,
  maxTtlMs: 24 * 3_600_000,
  /** A state document that has not changed for this long is of a silent agent. */
  silentMs: 20_000,
  /** How often an agent publishes its state when nothing changes. */
  stateIntervalMs: 5_000,
  /** Not parsable and unchanged for this long: refused. */
  partialMs: 5_000,
  /** Empty for this long: refused. */
  emptyMs: 60_000,
  endedJobsInState: 20,
  /** Ended jobs that an agent keeps, and answers to `list_jobs`. */
  endedJobsKept: 200,
  /** Jobs that are queued or under way at one agent; more are refused. */
  activeJobs: 300,
} as const;

/** An agent's name, the address of its box; also the grammar of `reply_to`. Safe as a file name. */
export const AgentName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be 1 to 63 of a-z, 0-9 and -, not beginning or ending with -");
export type AgentName = z.infer<typeof AgentName>;

/** Reserved: the state document of a legacy service is `gpu_status.json`. */
export const LEGACY_SERVICE_AGENT = "gpu";

/** A command's id. Safe as a file name. */
export const CommandId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, "must be 1 to 128 of A-Z, a-z, 0-9, _ and -");
export type CommandId = z.infer<typeof CommandId>;

export const Verb = z.enum([
  "list_models",
  "pull_model",
  "delete_model",
  "ping",
  "show_model",
  "list_running",
  "list_jobs",
  "copy_model",
  "unload_model",
  "cancel_job",
]);
export type Verb = z.infer<typeof Verb>;

/**
 * For every verb: does it change anything on the box, which dialect has it first, does it name a model.
 * An agent answers a verb that it does not serve yet with `unimplemented`.
 */
export const VERBS: Readonly<Record<Verb, { changing: boolean; version: 1 | 2; model: boolean }>> = {
  list_models: { changing: false, version: 1, model: false },
  pull_model: { changing: true, version: 1, model: true },
  delete_model: { changing: true, version: 1, model: true },
  ping: { changing: false, version: 2, model: false },
  show_model: { changing: false, version: 2, model: true },
  list_running: { changing: false, version: 2, model: false },
  list_jobs: { changing: false, version: 2, model: false },
  copy_model: { changing: true, version: 2, model: true },
  unload_model: { changing: true, version: 2, model: true },
  cancel_job: { changing: true, version: 2, model: false },
};

/** The codes of an error on the wire; what follows from each: src/base/errors.ts. */
export const Code = z.enum([
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
export type Code = z.infer<typeof Code>;

/**
 * A version 1 command as a legacy backend or a person with `tee` writes it: everything but `command` may be missing.
 * `timestamp` is for people: naive, and never judged.
 */
export const CommandV1 = z.object({
  version: z.undefined().optional(),
  command: z.string(),
  command_id: z.string().optional(),
  timestamp: z.unknown().optional(),
  model_name: z.string().optional(),
});
export type CommandV1 = z.infer<typeof CommandV1>;

export const CommandV2 = z.object({
  version: z.literal(PROTOCOL_VERSION),
  command: z.string(),
  command_id: CommandId,
  /** ISO 8601 in UTC, for people: validity is judged by the transport's clock. */
  timestamp: z.string(),
  agent: AgentName,
  reply_to: AgentName,
  /** How long after its publication the command may be started. */
  ttl_ms: z.int().min(1).max(LIMITS.maxTtlMs),
  model_name: z.string().optional(),
  arguments: z.record(z.string(), z.unknown()).optional(),
});
export type CommandV2 = z.infer<typeof CommandV2>;

/** An installed model, as Ollama lists it. `size` in bytes; `digest` of the manifest, hex without `sha256:`. */
export const Model = z.object({
  name: z.string(),
  size: z.number().nonnegative(),
  modified_at: z.string(),
  digest: z.string(),
});
export type Model = z.infer<typeof Model>;

/** A model in memory. Bytes; `size_vram` 0 is CPU only, equal to `size` all on the GPU. */
export const RunningModel = z.object({
  name: z.string(),
  size: z.number().nonnegative(),
  size_vram: z.number().nonnegative(),
  expires_at: z.string(),
});
export type RunningModel = z.infer<typeof RunningModel>;

/** What Ollama tells of one model. Texts are cut and long lists left out, so that it fits a response. */
export const ModelDetails = z.object({
  /** Family, parameter size, quantization and the like. */
  details: z.record(z.string(), z.unknown()).optional(),
  capabilities: z.array(z.string()).optional(),
  parameters: z.string().optional(),
  template: z.string().optional(),
  license: z.string().optional(),
  /** From the model's file, by its own keys, such as `general.architecture`. */
  model_info: z.record(z.string(), z.unknown()).optional(),
});
export type ModelDetails = z.infer<typeof ModelDetails>;

export const JobState = z.enum(["queued", "running", "verifying", "succeeded", "failed", "cancelled"]);
export type JobState = z.infer<typeof JobState>;

/** What Ollama does at present for a pull: asks the registry, fetches, checks what it fetched, writes the manifest. */
export const JobPhase = z.enum(["manifest", "downloading", "verifying", "writing"]);
export type JobPhase = z.infer<typeof JobPhase>;

/** Long work of one agent. Bytes, bytes a second, seconds; instants ISO 8601; null: unknown or not yet. */
export const Job = z.object({
  /** Null only for a pull that a legacy service started: it cannot be followed. */
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
  // Older agents do not send what follows.
  /** Null when it does not run. */
  phase: JobPhase.nullable().optional(),
  /** How often it was begun again after a stall or a failure. */
  retries: z.int().nonnegative().optional(),
  /** What is worth saying of it while it runs, for people. */
  note: z.string().nullable().optional(),
  /** What remains on disk of a pull that did not succeed; null also when it cannot be seen. */
  partial_bytes: z.number().nonnegative().nullable().optional(),
  /** When a queued pull whose last attempt failed is tried again, by the box's clock. */
  retry_at: z.string().nullable().optional(),
  /** Why a queued job waits, for people. */
  waiting_for: z.string().nullable().optional(),
});
export type Job = z.infer<typeof Job>;

/** A pull that has not begun. */
export function newPull(id: string | null, agent: string, model: string): Job {
  return {
    id,
    agent,
    kind: "pull",
    model,
    state: "queued",
    completed_bytes: 0,
    total_bytes: null,
    bytes_per_second: null,
    eta_seconds: null,
    started_at: null,
    ended_at: null,
    code: null,
    error: null,
    phase: null,
    retries: 0,
    note: null,
    partial_bytes: null,
  };
}

/** Whether a job's state is one that it keeps. */
export function isEnded({ state }: Job): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

/** Either dialect's answer. Version 1 has no `version`, `command_id`, `agent`, `code`, `hint` or `job`. */
export const Response = z.object({
  success: z.boolean(),
  timestamp: z.string().optional(),
  models: z.array(Model).optional(),
  message: z.string().optional(),
  error: z.string().optional(),
  version: z.literal(PROTOCOL_VERSION).optional(),
  command_id: CommandId.optional(),
  agent: AgentName.optional(),
  code: Code.optional(),
  hint: z.string().optional(),
  job: Job.optional(),
  jobs: z.array(Job).optional(),
  running: z.array(RunningModel).optional(),
  show: ModelDetails.optional(),
  /** Of a delete: what it freed, and what stays because other models share it; null when it cannot be seen. */
  freed_bytes: z.number().nonnegative().nullable().optional(),
  shared_bytes: z.number().nonnegative().nullable().optional(),
});
export type Response = z.infer<typeof Response>;

/** What a legacy service publishes as `gpu_status.json`, and the part of the state that a legacy backend reads. */
export const StateV1 = z.object({
  version: z.undefined().optional(),
  timestamp: z.string(),
  status: z.string(),
  processed_commands: z.number(),
  ollama_available: z.boolean(),
});
export type StateV1 = z.infer<typeof StateV1>;

export const SharedInboxMode = z.enum(["on", "off", "auto"]);
export type SharedInboxMode = z.infer<typeof SharedInboxMode>;

export const OllamaHealth = z.object({
  reachable: z.boolean(),
  version: z.string().nullable(),
  error: z.string().nullable(),
  /** Null until it was asked once. */
  checked_at: z.string().nullable(),
});
export type OllamaHealth = z.infer<typeof OllamaHealth>;

/** The disk that holds the models. */
export const Disk = z.object({
  path: z.string(),
  free_bytes: z.number().nonnegative(),
  total_bytes: z.number().nonnegative(),
});
export type Disk = z.infer<typeof Disk>;

export const Gpu = z.object({
  index: z.int().nonnegative(),
  uuid: z.string(),
  name: z.string(),
  memory_total_bytes: z.number().nonnegative().nullable(),
  memory_used_bytes: z.number().nonnegative().nullable(),
});
export type Gpu = z.infer<typeof Gpu>;

export const AgentStatus = z.enum(["running", "draining", "stopped", "degraded"]);
export type AgentStatus = z.infer<typeof AgentStatus>;

/** The document that each agent publishes about itself, and only it. */
export const State = z.object({
  timestamp: z.string(),
  status: AgentStatus,
  processed_commands: z.int().nonnegative(),
  ollama_available: z.boolean(),
  version: z.literal(PROTOCOL_VERSION),
  agent: AgentName,
  /** Random, kept in the state directory: tells two boxes of one name apart. */
  instance: z.string(),
  sequence: z.int().nonnegative(),
  started_at: z.string(),
  agent_version: z.string(),
  host: z.string(),
  shared_inbox: SharedInboxMode,
  serves_shared_inbox: z.boolean(),
  /** The transport's clock minus this machine's. */
  clock_offset_ms: z.number(),
  refused_commands: z.int().nonnegative(),
  /** Why `status` is `degraded`; null otherwise. */
  degraded_reason: z.string().nullable(),
  /** While `degraded`: reading verbs are served anyway. Missing: false. */
  reading_only: z.boolean().optional(),
  /** Under way for over 1 s. */
  commands: z.array(z.object({ command_id: CommandId, command: z.string(), started_at: z.string() })),
  ollama: OllamaHealth,
  /** Null until Ollama answered once, then the last known. */
  models: z.array(Model).nullable(),
  model_count: z.int().nonnegative().nullable(),
  running: z.array(RunningModel),
  /** Active ones and the last ended. */
  jobs: z.array(Job),
  job_count: z.int().nonnegative(),
  disk: Disk.nullable(),
  gpus: z.array(Gpu),
  /** Names of the lists that were cut to fit: ask by command. */
  truncated: z.array(z.string()),
});
export type State = z.infer<typeof State>;
