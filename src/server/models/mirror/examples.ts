// The examples of the mirror in /openapi.json.
import type { FetchDocument, FreedDocument, MirrorDocument } from "../../../documents/models/mirror.ts";

const MIRROR: MirrorDocument = {
  folder: "/mnt/shared/gpu_models",
  bytes: 9_053_116_391,
  models: [
    {
      name: "phi4:latest",
      digest: "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba",
      size: 9_053_116_391,
      missing_blobs: 0,
      signed_by: "3f0c9d2a71b6e845",
      agents: ["gpu-1"],
      other_agents: ["gpu-2"],
    },
  ],
};

const FETCH: FetchDocument = {
  id: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
  agent: null,
  model: "phi4:latest",
  state: "running",
  completed_bytes: 4_526_558_195,
  total_bytes: 9_053_116_391,
  bytes_per_second: 104_857_600,
  created_at: "2026-11-28T03:36:30.087Z",
  started_at: "2026-11-28T03:36:30.120Z",
  finished_at: null,
  code: null,
  error: null,
  requested_by: "platform",
};

const ENDED = { bytes_per_second: null, finished_at: "2026-11-28T03:38:01.402Z" };
const FREED: FreedDocument = { model: "phi4:latest", files: 4, bytes: 9_053_116_391 };

export const MIRROR_EXAMPLES: {
  readonly mirror: MirrorDocument;
  readonly fetch: FetchDocument;
  readonly withPulls: FetchDocument;
  readonly cancelled: FetchDocument;
  readonly freed: FreedDocument;
} = {
  mirror: MIRROR,
  fetch: FETCH,
  withPulls: {
    ...FETCH,
    ...ENDED,
    state: "succeeded",
    completed_bytes: 9_053_116_391,
    pulls: [
      { agent: "gpu-1", job: "019ac8d3-01b2-7a4d-8c55-6f1e2d3c4b5a", code: null, error: null },
      { agent: "gpu-2", job: "019ac8d3-01b3-7f00-9d1a-0a1b2c3d4e5f", code: "unavailable", error: "gpu-2 is offline" },
    ],
  },
  cancelled: { ...FETCH, ...ENDED, state: "cancelled", code: "cancelled", error: "Cancelled" },
  freed: FREED,
};
