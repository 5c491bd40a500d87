// The documents of `/v1` as gpuctl reads them: earlier releases of gpu-server lack fields that `/openapi.json` now promises.
import { z } from "zod";
import { AgentDocument, AgentsDocument } from "../../documents/agents.ts";

const { gpus, memory, platform, labels } = AgentDocument.shape;

/** What an earlier server does not send is unknown, as null is. */
export const ReadAgent = AgentDocument.extend({
  gpus: gpus.default(null),
  memory: memory.default(null),
  platform: platform.default(null),
  labels: labels.default(null),
});

export const ReadAgents = AgentsDocument.extend({ agents: z.array(ReadAgent) });
