// Everything that crosses a transport: the schemas and types of both versions of the protocol, with their names and limits.
// docs/protocol.md is the same contract in words. A schema and its type share one name.
import { z } from "zod";
import { ERROR_CODES, isErrorCode } from "./base/errors.ts";
import { fieldOf, parseJson } from "./base/foreign_text.ts";
import * as box from "./protocol/box.ts";
import { BriefDetails, Capabilities } from "./protocol/brief_details.ts";
import { compiledLater } from "./protocol/compiled_later.ts";
import * as leftovers from "./protocol/disk_usage.ts";
import { Fetch as mirrorFetch } from "./protocol/fetch.ts";
import { absent, extra, list, maybe, object } from "./protocol/fields.ts";
import * as keeping from "./protocol/keep_alive.ts";
import { LIMITS as limits } from "./protocol/limits.ts";
import { ModelDetails as modelDetails } from "./protocol/model_details.ts";
import { OllamaHealth as ollamaHealth } from "./protocol/ollama_health.ts";
import { PublishedModel as publishedModel } from "./protocol/published_model.ts";
import { windowNote as noteOfWindow, windowOf as readWindow, RETRY_NOTE as retryNote } from "./protocol/retry_note.ts";
import * as signing from "./protocol/signing.ts";
import { cut } from "./protocol/text.ts";

/**
 * The newest version.
 * - 1 (2025-07): the original. No `version` field. Commands go into the shared inbox: `list_models`, `pull_model` and
 *   `delete_model`.
 * - 2 (2026-11): `version: 2`. A command names its agent (`agent`), the sender's folder for the response (`reply_to`)
 *   and how long it is valid (`ttl_ms`). Adds verbs and fields, and changes the meaning of none.
 */
export const PROTOCOL_VERSION = 2;

export const LIMITS = limits;

/** An agent's name, which is its address. `reply_to` has the same grammar. Safe as a file name. */
export const AgentName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be 1 to 63 of a-z, 0-9 and -, not beginning or ending with -");
export type AgentName = z.infer<typeof AgentName>;

/** Reserved for the legacy service, whose state document is `gpu_status.json`. */
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
  "load_model",
  "unload_model",
  "cancel_job",
  "disk_usage",
  "prune",
  "fetch_model",
  "published_model",
]);
export type Verb = z.infer<typeof Verb>;

/**
 * For each verb: whether it changes anything on the GPU machine, the first version that has it, and whether it names a
 * model. An agent responds with `unimplemented` to a verb that it does not know.
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
  load_model: { changing: true, version: 2, model: true },
  unload_model: { changing: true, version: 2, model: true },
  cancel_job: { changing: true, version: 2, model: false },
  disk_usage: { changing: false, version: 2, model: false },
  prune: { changing: true, version: 2, model: false },
  fetch_model: { changing: true, version: 2, model: true },
  published_model: { changing: false, version: 2, model: true },
};

/** The code of an error. src/base/errors.ts has the list, with the exit and HTTP status for each. */
export const Code = z.enum(Object.keys(ERROR_CODES).filter(isErrorCode));
export type Code = z.infer<typeof Code>;

/**
 * A version 1 command, as a legacy backend or a person with `tee` writes it. Only `command` is required. `timestamp`
 * has no time zone, is meant for people, and is never checked.
 */
export const CommandV1 = z.object({
  version: absent,
  command: z.string(),
  command_id: maybe(z.string()),
  timestamp: z.unknown().optional(),
  model_name: maybe(z.string()),
});
export type CommandV1 = z.infer<typeof CommandV1>;

export const CommandV2 = z.object({
  version: z.literal(PROTOCOL_VERSION),
  command: z.string(),
  command_id: CommandId,
  /** ISO 8601 in UTC, for people. The transport's clock decides whether the command is still valid. */
  timestamp: z.string(),
  agent: AgentName,
  reply_to: AgentName,
  /** The agent may start the command until this long after it was published. */
  ttl_ms: z.int().min(1).max(LIMITS.maxTtlMs),
  model_name: maybe(z.string()),
  arguments: maybe(z.record(z.string(), z.unknown())),
  /** The sender's word for the person or program that asks, such as the name of a token. Not verified. */
  requested_by: maybe(z.string().max(LIMITS.requesterCharacters)),
  ...signing.commandSigning,
});
export type CommandV2 = z.infer<typeof CommandV2>;

/** Longer than any name of a model: it is a part of cursors and headers. */
const ModelText = z.string().max(1000);
/** An instant in ISO 8601 has 24 characters. */
const InstantText = cut(64);

/** An installed model, as Ollama lists it. `size` is in bytes; `digest` is the manifest's, in hex without `sha256:`. */
export const Model = z.object({
  name: ModelText,
  size: z.number().nonnegative(),
  modified_at: ModelText,
  digest: ModelText,
  /** Only for a model that Ollama runs on another host: its name there, and that host. `size` is then a few bytes. */
  remote_model: z.string().optional(),
  remote_host: z.string().optional(),
  // Older agents and older releases of Ollama do not send the fields below.
  details: extra(maybe(BriefDetails)),
  capabilities: extra(maybe(Capabilities)),
});
export type Model = z.infer<typeof Model>;

/** A loaded model. Sizes in bytes; `size_vram` is the part on the GPU: 0 for CPU only, `size` for GPU only. */
export const RunningModel = z.object({
  name: ModelText,
  size: z.number().nonnegative(),
  size_vram: z.number().nonnegative(),
  expires_at: z.string(),
  // As in `Model`.
  digest: extra(maybe(z.string().max(128))),
  details: extra(maybe(BriefDetails)),
  /** The size of its context, in tokens. */
  context_length: extra(maybe(z.int().nonnegative())),
});
export type RunningModel = z.infer<typeof RunningModel>;

export const ModelDetails = modelDetails;
export type ModelDetails = z.infer<typeof ModelDetails>;

export const JobState = z.enum(["queued", "running", "verifying", "succeeded", "failed", "cancelled"]);
export type JobState = z.infer<typeof JobState>;

/** Ollama's current step of a pull: it asks the registry, downloads, verifies the download, writes the manifest. */
export const JobPhase = z.enum(["manifest", "downloading", "verifying", "writing"]);
export type JobPhase = z.infer<typeof JobPhase>;

/** A long-running operation on one agent. Bytes, bytes per second, seconds, ISO 8601; null: unknown or not yet. */
export const Job = z.object({
  /** Null only for a pull by a legacy service: it cannot be followed. */
  id: CommandId.nullable(),
  agent: AgentName,
  kind: z.literal("pull"),
  model: cut(LIMITS.textCharacters),
  state: JobState,
  completed_bytes: z.number().nonnegative(),
  total_bytes: z.number().nonnegative().nullable(),
  bytes_per_second: z.number().nonnegative().nullable(),
  eta_seconds: z.number().nonnegative().nullable(),
  started_at: InstantText.nullable(),
  ended_at: InstantText.nullable(),
  code: Code.nullable(),
  error: cut(LIMITS.textCharacters).nullable(),
  // Older agents do not send the fields below.
  /** Null unless the job is running. */
  phase: JobPhase.nullable().optional(),
  /** How many times it was started again after a stall or a failure. */
  retries: z.int().nonnegative().optional(),
  /** A remark for people about an active job. */
  note: cut(LIMITS.textCharacters).nullable().optional(),
  /** The bytes on disk that a pull left behind when it did not succeed. Null also when the agent cannot see them. */
  partial_bytes: z.number().nonnegative().nullable().optional(),
  /** While it waits between two attempts: the start of the next one, ISO 8601 by the GPU machine's clock. Else null. */
  retry_at: InstantText.nullable().optional(),
  /** While it waits: the reason, for people. Else null. */
  waiting_for: z.string().max(1000).nullable().optional(),
  /** When the agent accepted the command that asked for it, ISO 8601 by the GPU machine's clock. */
  created_at: extra(z.string().max(64).nullable()),
  /** `requested_by` of that command. A later one that joins the job does not change it. */
  requested_by: extra(z.string().max(LIMITS.requesterCharacters).nullable()),
});
export type Job = z.infer<typeof Job>;

/** A pull that has not started. */
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
    retry_at: null,
    waiting_for: null,
    created_at: null,
    requested_by: null,
  };
}

/** Whether the job's state is final. */
export function isEnded({ state }: Job): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

export const RETRY_NOTE = retryNote;
export const windowNote = noteOfWindow;
export const windowOf = readWindow;

export const Fetch = mirrorFetch;
export type Fetch = z.infer<typeof Fetch>;

/** A response in either version. Version 1 has no `version`, `command_id`, `agent`, `code`, `hint` or `job`. */
export const Response = z.object({
  success: z.boolean(),
  timestamp: maybe(z.string()),
  models: maybe(list(Model)),
  message: maybe(cut(LIMITS.textCharacters)),
  error: maybe(cut(LIMITS.textCharacters)),
  version: maybe(z.literal(PROTOCOL_VERSION)),
  command_id: maybe(CommandId),
  agent: maybe(AgentName),
  code: maybe(Code),
  hint: maybe(cut(LIMITS.textCharacters)),
  job: maybe(object(Job)),
  jobs: maybe(list(Job)),
  running: maybe(list(RunningModel)),
  show: maybe(object(ModelDetails)),
  /** For a delete: the bytes that it freed, and those that other models still use. Null when unknown. */
  freed_bytes: z.number().nonnegative().nullable().optional(),
  shared_bytes: z.number().nonnegative().nullable().optional(),
  disk_usage: extra(maybe(object(leftovers.DiskUsage))),
  pruned: extra(maybe(object(leftovers.Pruned))),
  fetch: extra(maybe(object(Fetch))),
  published: extra(maybe(object(publishedModel))),
  /** Names of the lists that were cut to fit `responseBytes`. Missing: none. */
  truncated: maybe(z.array(z.string())),
  ...signing.responseSigning,
});
export type Response = z.infer<typeof Response>;

/** A legacy service's state document, `gpu_status.json`, and the fields of any state that a legacy backend reads. */
export const StateV1 = z.object({
  version: absent,
  timestamp: z.string(),
  status: z.string(),
  processed_commands: z.number(),
  ollama_available: z.boolean(),
});
export type StateV1 = z.infer<typeof StateV1>;

export const SharedInboxMode = z.enum(["on", "off", "auto"]);
export type SharedInboxMode = z.infer<typeof SharedInboxMode>;

export const OllamaHealth = ollamaHealth;
export type OllamaHealth = z.infer<typeof OllamaHealth>;

export const { DiskUsage, Leftover, Pruned } = leftovers;
export type DiskUsage = z.infer<typeof DiskUsage>;
export type Leftover = z.infer<typeof Leftover>;
export type Pruned = z.infer<typeof Pruned>;

export const PublishedModel = publishedModel;
export type PublishedModel = z.infer<typeof PublishedModel>;

export const { KeepAlive, keepAliveSeconds } = keeping;
export type KeepAlive = keeping.KeepAlive;

export const { Disk, Gpu, Memory, Platform, Labels } = box;
export type Disk = z.infer<typeof Disk>;
export type Gpu = z.infer<typeof Gpu>;
export type Memory = z.infer<typeof Memory>;
export type Platform = z.infer<typeof Platform>;
export type Labels = z.infer<typeof Labels>;

/** A command that the agent refused without running it. */
const RefusedCommand = z.object({
  /** ISO 8601, by the GPU machine's clock. */
  at: z.string(),
  command_id: CommandId,
  command: cut(LIMITS.textCharacters).nullable(),
  model: cut(LIMITS.textCharacters).nullable(),
  code: Code,
  error: cut(LIMITS.textCharacters),
});
export type RefusedCommand = z.infer<typeof RefusedCommand>;

export const AgentStatus = z.enum(["running", "draining", "stopped", "degraded"]);
export type AgentStatus = z.infer<typeof AgentStatus>;

/** An agent's state document. Only the agent itself publishes it. */
export const State = z.object({
  timestamp: z.string(),
  status: AgentStatus,
  processed_commands: z.int().nonnegative(),
  ollama_available: z.boolean(),
  version: z.literal(PROTOCOL_VERSION),
  agent: AgentName,
  /** Random, and kept in the state directory: two machines that use the same name differ in it. */
  instance: z.string(),
  sequence: z.int().nonnegative(),
  started_at: z.string(),
  agent_version: z.string(),
  host: cut(LIMITS.hostCharacters),
  shared_inbox: SharedInboxMode,
  serves_shared_inbox: z.boolean(),
  /** The transport's clock minus the GPU machine's. */
  clock_offset_ms: z.number(),
  refused_commands: z.int().nonnegative(),
  /** The reason for the status `degraded`. Null for any other status. */
  degraded_reason: cut(LIMITS.textCharacters).nullable(),
  /** Whether a `degraded` agent serves reading verbs. Missing means false. */
  reading_only: maybe(z.boolean()),
  /** Commands that have been running for over 1 s. */
  commands: list(z.object({ command_id: CommandId, command: z.string(), started_at: z.string() })),
  ollama: OllamaHealth,
  /** The last known models. Null until Ollama answered for the first time. */
  models: list(Model).nullable(),
  model_count: z.int().nonnegative().nullable(),
  running: list(RunningModel),
  /** The active jobs, and the last ones that ended. */
  jobs: list(Job),
  job_count: z.int().nonnegative(),
  disk: Disk.nullable(),
  gpus: list(Gpu),
  /** The names of the lists that were cut to fit `stateBytes`. A command returns the whole list. */
  truncated: z.array(z.string()),
  // Older agents do not send the fields below.
  /** Null where the agent cannot read it. */
  memory: extra(Memory.nullable()),
  labels: extra(maybe(Labels)),
  platform: extra(maybe(Platform)),
  /** The patterns of `--protect`: models that no command deletes. Missing: none is known. */
  protected: extra(maybe(z.array(z.string().max(LIMITS.protectedCharacters)).max(LIMITS.protectedPatterns))),
  /** `shared_inbox` is `on`, also while a legacy service seems to be alive. Missing means false. */
  shared_inbox_only: extra(maybe(z.boolean())),
  /** Commands that stay in the inboxes for want of room. Missing: none. */
  waiting_commands: extra(maybe(z.int().nonnegative())),
  /** The last ones, the newest last. */
  refused: extra(maybe(list(RefusedCommand))),
  /** Into the mirror: the active ones, and those that ended in the last hour. Missing: this agent fetches none. */
  fetches: extra(maybe(list(Fetch))),
  ...signing.stateSigning,
});
export type State = z.infer<typeof State>;
const readState = compiledLater(State);

/** A state document of either version. */
export type StateDocument =
  | { readonly state: State; readonly legacyState: null }
  | { readonly state: null; readonly legacyState: StateV1 };

/**
 * Reads an agent's state document. Never throws.
 * @param last the last document that could be read. A legacy service writes in place, so an empty or partial text means
 *   that it is writing the next one: the last one is returned again.
 * @returns undefined when the text is not a state document, or is the document of another agent
 */
export function parseState(agent: string, text: string, last?: StateDocument): StateDocument | undefined {
  const document = parseJson(text);
  // Before its lists are checked, which may be long.
  if (agent !== LEGACY_SERVICE_AGENT && fieldOf(document, "agent") !== agent) return undefined;
  const state = readState(document);
  if (state === undefined ? agent !== LEGACY_SERVICE_AGENT : state.agent !== agent) return undefined;
  // A job under the name of another agent would be shown to those who may see only that one.
  if (state?.jobs.some((job) => job.agent !== agent)) state.jobs = state.jobs.filter((job) => job.agent === agent);
  if (state !== undefined) return { state, legacyState: null };
  const legacyState = StateV1.safeParse(document).data;
  return legacyState === undefined ? last : { state: null, legacyState };
}
