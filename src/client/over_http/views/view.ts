// The agents of gpu-server as views: the fields of `/v1/agents`, without the lists of a state.
import type { AgentView } from "../../../courier/agent_view.ts";
import type { AgentDocument } from "../../../documents/agents.ts";
import { LEGACY_SERVICE_AGENT, PROTOCOL_VERSION, type State, type StateV1 } from "../../../protocol.ts";
import type { AgentKey } from "../../../trust/agents/known_agents.ts";
import type { Trouble, TroubleKind } from "../../../trust/agents/troubles.ts";

const KINDS: ReadonlySet<string> = new Set<TroubleKind>([
  "conflict",
  "forged",
  "unsigned",
  "required",
  "unpinned",
  "revoked",
  "replayed",
  "late",
]);

export function viewOf(document: AgentDocument, nowMs: number): AgentView {
  const { agent, status, reason, last_seen_at } = document;
  return {
    agent,
    online: status === "online",
    reason,
    lastSeenAt: last_seen_at,
    silentMs: Math.max(0, nowMs - Date.parse(last_seen_at)) || 0,
    state: document.agent_version === null ? null : stateOf(document, document.agent_version),
    legacyState: isLegacy(document) ? legacyStateOf(document) : null,
    key: keyOf(document),
  };
}

function isLegacy({ agent, agent_version, key_trouble }: AgentDocument): boolean {
  return agent === LEGACY_SERVICE_AGENT && agent_version === null && key_trouble === undefined;
}

/** The lists are asked for by themselves: `truncated` names them all. */
function stateOf(document: AgentDocument, agent_version: string): State {
  const { agent, reason, last_seen_at, ollama, model_count, job_count, disk, gpus, memory, platform, labels } =
    document;
  const isStatus = reason === "stopped" || reason === "draining" || reason === "degraded";
  return {
    timestamp: last_seen_at,
    status: isStatus ? reason : "running",
    processed_commands: 0,
    ollama_available: ollama.reachable,
    version: PROTOCOL_VERSION,
    agent,
    instance: "",
    sequence: 0,
    started_at: last_seen_at,
    agent_version,
    host: "",
    shared_inbox: "auto",
    serves_shared_inbox: false,
    clock_offset_ms: document.clock_offset_ms ?? 0,
    refused_commands: 0,
    degraded_reason: document.degraded_reason ?? null,
    commands: [],
    ollama,
    models: null,
    model_count,
    running: [],
    jobs: [],
    job_count: job_count ?? 0,
    disk,
    gpus: gpus ?? [],
    truncated: ["models", "running", "jobs", "refused"],
    memory,
    ...(platform === null ? {} : { platform }),
    ...(labels === null ? {} : { labels }),
    ...(document.protected === undefined ? {} : { protected: document.protected }),
  };
}

function legacyStateOf({ last_seen_at, ollama }: AgentDocument): StateV1 {
  return {
    version: undefined,
    timestamp: last_seen_at,
    status: "running",
    processed_commands: 0,
    ollama_available: ollama.reachable,
  };
}

function keyOf(document: AgentDocument): AgentKey | null {
  const { key_id = null, key_status = null, key_trouble } = document;
  const trouble = key_trouble === undefined ? conflictOf(document) : troubleOf(key_trouble, document);
  if (key_id === null && key_status === null && trouble === null) return null;
  return { id: key_id, status: key_status === "conflict" ? "first use" : key_status, trouble };
}

function troubleOf({ kind, reason }: { kind: string; reason: string }, { conflicting_key_id }: AgentDocument): Trouble {
  const other = conflicting_key_id === undefined ? {} : { keyId: conflicting_key_id };
  return { kind: isKind(kind) ? kind : "forged", reason, ...other };
}

/** An older server gives no reason. */
function conflictOf({ key_status, conflicting_key_id }: AgentDocument): Trouble | null {
  if (key_status !== "conflict") return null;
  const reason = `it is signed by the key ${conflicting_key_id ?? "of somebody else"}`;
  return { kind: "conflict", reason, ...(conflicting_key_id === undefined ? {} : { keyId: conflicting_key_id }) };
}

function isKind(kind: string): kind is TroubleKind {
  return KINDS.has(kind);
}
