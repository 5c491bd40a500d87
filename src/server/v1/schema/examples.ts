// The examples in /openapi.json, of the types that the routes return.

import type { AgentDocument } from "../../../documents/agents.ts";
import type { AuditEntry } from "../../../documents/audit.ts";
import type { JobDocument } from "../../../documents/jobs.ts";
import type { DiskDocument, PrunedDocument } from "../../../documents/models/disk.ts";
import type { ModelsDocument, ShownDocument } from "../../../documents/models.ts";
import type { DeletedDocument } from "../../../documents/outcomes.ts";
import type { RunningDocument } from "../../../documents/running.ts";
import type { TrustedDocument } from "../../../documents/trust.ts";

const AGENT_DISK = {
  path: "/usr/share/ollama/.ollama/models/blobs",
  free_bytes: 79_912_345_600,
  total_bytes: 982_141_468_672,
};

const AGENT: AgentDocument = {
  agent: "gpu-1",
  status: "online",
  reason: null,
  last_seen_at: "2026-11-28T03:37:13.995Z",
  agent_version: "0.1.0",
  ollama: { reachable: true, version: "0.12.6", error: null, checked_at: "2026-11-28T03:37:11.204Z" },
  model_count: 2,
  job_count: 1,
  disk: AGENT_DISK,
  gpus: [
    {
      index: 0,
      uuid: "GPU-5f1b9a2c",
      name: "NVIDIA RTX A6000",
      memory_total_bytes: 51_527_024_640,
      memory_used_bytes: 9_663_676_416,
    },
  ],
  memory: { total_bytes: 270_582_939_648, available_bytes: 201_863_462_912 },
  platform: { os: "linux", arch: "x64" },
  labels: { site: "berlin" },
  clock_offset_ms: 12,
  key_id: "3f0c9d2a71b6e845",
  key_status: "confirmed",
};

const MODEL: ModelsDocument["models"][number] = {
  name: "phi4:latest",
  size: 9_053_116_391,
  digest: "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba",
  modified_at: "2026-11-20T10:00:00.123456789+01:00",
  details: { family: "phi3", format: "gguf", parameter_size: "14.7B", quantization_level: "Q4_K_M" },
  capabilities: ["completion"],
  agents: ["gpu-1"],
};

const JOB: JobDocument = {
  id: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
  agent: "gpu-1",
  kind: "pull",
  model: "phi4:latest",
  state: "running",
  completed_bytes: 4_526_558_195,
  total_bytes: 9_053_116_391,
  bytes_per_second: 104_857_600,
  eta_seconds: 44,
  started_at: "2026-11-28T03:36:30.120Z",
  ended_at: null,
  code: null,
  error: null,
  phase: "downloading",
  retries: 0,
  note: null,
  partial_bytes: null,
  retry_at: null,
  waiting_for: null,
  created_at: "2026-11-28T03:36:30.087Z",
  requested_by: "platform",
};

const CANCELLED: JobDocument = {
  ...JOB,
  state: "cancelled",
  bytes_per_second: null,
  eta_seconds: null,
  ended_at: "2026-11-28T03:37:20.700Z",
  code: "cancelled",
  error: "Cancelled",
  phase: null,
  partial_bytes: 4_526_558_195,
};

const LOADED: RunningDocument["running"][number] = {
  agent: "gpu-1",
  name: "phi4:latest",
  size: 11_167_336_448,
  size_vram: 11_167_336_448,
  expires_at: "2026-11-28T03:42:13.995Z",
};

const ENTRY: AuditEntry = {
  number: 481,
  at: "2026-11-28T03:36:30.050Z",
  request: "POST /v1/jobs",
  request_id: "9a402b7f6d1e",
  who: "platform",
  way: "token",
  peer: "127.0.0.1",
  verb: "pull_model",
  agent: "gpu-1",
  model: "phi4:latest",
  details: null,
  outcome: "ok",
  job: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
  key: null,
};

const SHOWN: ShownDocument = {
  ...MODEL,
  show: { capabilities: ["completion"], parameters: 'stop "<|im_end|>"', license: "MIT License" },
};

const OUTCOME = { agent: "gpu-1", model: "phi4:latest", code: null, error: null };
const DELETED: DeletedDocument = { agents: [{ ...OUTCOME, freed_bytes: 9_053_116_391, shared_bytes: 0 }] };

const TRUSTED: TrustedDocument = { agent: "gpu-1", key_id: "3f0c9d2a71b6e845", key_status: "confirmed" };

const LEFT = {
  digest: "sha256:6e4c38e1172f42fdbff13edf9a7a017679fb82b0fde415a3e8b3c31c6ed4a4e4",
  bytes: 1_203_298_304,
};

const DISK: DiskDocument["agents"][number] = {
  agent: "gpu-1",
  code: null,
  error: null,
  usage: {
    ...AGENT_DISK,
    models_bytes: 9_053_116_391,
    partials_bytes: LEFT.bytes,
    orphans_bytes: 0,
    models: [{ name: "phi4:latest", own_bytes: 9_053_116_391, shared_bytes: 0 }],
    partials: [{ ...LEFT, changed_at: "2026-11-27T18:11:02.123Z", job_id: null, model: null }],
    orphans: [],
  },
};

const PRUNED: PrunedDocument["agents"][number] = {
  agent: "gpu-1",
  code: null,
  error: null,
  pruned: { dry_run: true, bytes: LEFT.bytes, count: 1, removed: [{ kind: "partial", ...LEFT }], kept: [] },
};

export const EXAMPLES = {
  agent: AGENT,
  model: MODEL,
  shown: SHOWN,
  job: JOB,
  cancelled: CANCELLED,
  loaded: LOADED,
  auditEntry: ENTRY,
  outcome: OUTCOME,
  deleted: DELETED,
  trusted: TRUSTED,
  disk: DISK,
  pruned: PRUNED,
} as const;
