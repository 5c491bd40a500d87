// What the platform side knows, as the documents that `/v1` answers and `gpuctl --json` prints. Pure.
// Imports the document schemas' types, the protocol's types, errors and the views.
import type { CourierError } from "../base/errors.ts";
import type { AgentView } from "../courier/fleet.ts";
import type { FleetModel, FleetModels, Unavailable } from "../courier/models.ts";
import { isEnded, type Job, newPull, type OllamaHealth, type Response } from "../protocol.ts";
import type {
  AgentDocument,
  AgentsDocument,
  DeletedDocument,
  ModelDocument,
  ModelsDocument,
} from "./document_schemas.ts";
import type { JobsDocument } from "./jobs.ts";

export function agentsDocument(views: readonly AgentView[]): AgentsDocument {
  return { agents: views.map((view) => agentDocument(view)) };
}

export function agentDocument({ agent, online, reason, lastSeenAt, state, legacyState }: AgentView): AgentDocument {
  return {
    agent,
    status: online ? "online" : "offline",
    reason,
    last_seen_at: lastSeenAt,
    agent_version: state?.agent_version ?? null,
    ollama: state?.ollama ?? unknownOllama(legacyState?.ollama_available ?? false),
    model_count: state?.model_count ?? null,
    job_count: state?.jobs.filter((job) => !isEnded(job)).length ?? null,
    disk: state?.disk ?? null,
    clock_offset_ms: state?.clock_offset_ms ?? null,
  };
}

export function modelsDocument({ models, unavailable }: FleetModels): ModelsDocument {
  return { models: models.map((model) => modelDocument(model)), ...present(unavailable) };
}

export function jobsDocument({
  jobs,
  unavailable = [],
}: {
  readonly jobs: readonly Job[];
  readonly unavailable?: readonly Unavailable[];
}): JobsDocument {
  return { jobs: [...jobs], ...present(unavailable) };
}

/** What became of a delete on one agent. */
interface Deletion {
  readonly agent: string;
  readonly model: string;
  readonly answer?: Response | undefined;
  readonly error?: CourierError | undefined;
}

/** @param outcomes one per agent asked; no `error`: deleted there */
export function deletedDocument(outcomes: readonly Deletion[]): DeletedDocument {
  const agents = outcomes.map(({ agent, model, error, answer }) => {
    const { freed_bytes, shared_bytes } = answer ?? {};
    const isSeen = typeof freed_bytes === "number" && typeof shared_bytes === "number";
    const bytes = isSeen ? { freed_bytes, shared_bytes } : {};
    return { agent, model, code: error?.code ?? null, error: error?.message ?? null, ...bytes };
  });
  return { agents };
}

/**
 * A pull that an agent refused, or that never reached it, as the failed job that it amounts to.
 * @param id by which the refusal is known: unique
 * @param endedAt ISO 8601
 */
export function refusedJob(agent: string, model: string, error: CourierError, id: string, endedAt: string): Job {
  const state = error.code === "cancelled" ? "cancelled" : "failed";
  return { ...newPull(id, agent, model), state, ended_at: endedAt, code: error.code, error: error.message };
}

function modelDocument(model: FleetModel): ModelDocument {
  const { name, size, digest, modified_at, remote_model, remote_host, agents } = model;
  const remote = {
    ...(remote_model === undefined ? {} : { remote_model }),
    ...(remote_host === undefined ? {} : { remote_host }),
  };
  return { name, size, digest, modified_at, ...remote, agents: [...agents] };
}

function unknownOllama(reachable: boolean): OllamaHealth {
  return { reachable, version: null, error: null, checked_at: null };
}

function present(unavailable: readonly Unavailable[]): { unavailable?: Unavailable[] } {
  return unavailable.length === 0 ? {} : { unavailable: [...unavailable] };
}
