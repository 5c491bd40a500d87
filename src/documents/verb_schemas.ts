// The documents of single verbs, show, ps, cp and stop, that `/v1` answers and `gpuctl --json` prints, as schemas.
// Imports zod and the protocol.
import { z } from "zod";
import { AgentName, Code, ModelDetails, RunningModel } from "../protocol.ts";
import { ModelDocument, unavailable } from "./document_schemas.ts";

/** A model as the list has it and, in `show`, what Ollama tells of it. */
export const ShownDocument = ModelDocument.extend({
  show: ModelDetails.meta({ id: "ModelDetails", description: "What Ollama tells of a model." }).nullable(),
  unavailable,
}).meta({
  id: "ShownModel",
  description: "One model of one agent. `show` is null when the agent cannot say; `unavailable` tells why.",
});
export type ShownDocument = z.infer<typeof ShownDocument>;

export const RunningDocument = z
  .object({
    running: z.array(
      RunningModel.extend({ agent: AgentName }).meta({
        id: "RunningModel",
        description: "A model in memory. Bytes; `size_vram` of them on the GPU.",
      }),
    ),
    unavailable,
  })
  .meta({ id: "Running" });
export type RunningDocument = z.infer<typeof RunningDocument>;

const outcome = z.object({
  agent: AgentName,
  model: z.string(),
  code: Code.nullable(),
  error: z.string().nullable(),
});

export const CopiedDocument = z.object({ agents: z.array(outcome.extend({ destination: z.string() })) }).meta({
  id: "Copied",
  description: "What became of it on each agent; `code` and `error` are null where it succeeded.",
});
export type CopiedDocument = z.infer<typeof CopiedDocument>;

export const UnloadedDocument = z.object({ agents: z.array(outcome) }).meta({
  id: "Unloaded",
  description: "What became of it on each agent; `code` and `error` are null where it succeeded.",
});
export type UnloadedDocument = z.infer<typeof UnloadedDocument>;
