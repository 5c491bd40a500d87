// The documents about models that `/v1` serves and `gpuctl --json` prints: the list, and one model in detail.
import { z } from "zod";
import type { FleetModel } from "../courier/fleet_model.ts";
import type { FleetModels } from "../courier/models.ts";
import type { Unavailable } from "../courier/unavailable.ts";
import { AgentName, Model, ModelDetails } from "../protocol.ts";
import { instant } from "./instants.ts";
import { Bytes, Instant, orNull } from "./named.ts";
import { nextPage, unavailableAgents, unavailableField } from "./unavailable.ts";

/** What lists show of a model's details, as in the protocol. Each may be missing. */
export const BriefDetailsDocument = z
  .object({
    family: z.string().optional(),
    families: z.array(z.string()).optional(),
    format: z.string().optional(),
    parameter_size: z.string().optional(),
    quantization_level: z.string().optional(),
    parent_model: z.string().optional(),
    context_length: z.int().nonnegative().optional(),
    embedding_length: z.int().nonnegative().optional(),
  })
  .meta({
    id: "BriefDetails",
    description: "What Ollama's lists show of a model. Each field may be missing.",
  });

const ModelDocument = Model.extend({
  size: Bytes,
  modified_at: Instant,
  details: BriefDetailsDocument.optional(),
  capabilities: z.array(z.string()).optional(),
  agents: z.array(AgentName),
}).meta({
  id: "Model",
  description:
    "An installed model and the agents that have it. Sizes in bytes; the digest is that of its manifest. " +
    "`remote_model` and `remote_host` are present only for a model that Ollama runs on another host, `details` and " +
    "`capabilities` only where the agent and its Ollama send them.",
});
type ModelDocument = z.infer<typeof ModelDocument>;

export const ModelsDocument = z
  .object({ models: z.array(ModelDocument), unavailable: unavailableAgents, next: nextPage })
  .meta({ id: "Models" });
export type ModelsDocument = z.infer<typeof ModelsDocument>;

const ModelDetailsDocument = ModelDetails.extend({
  modified_at: Instant.optional(),
  requires: z.string().optional(),
  renderer: z.string().optional(),
  parser: z.string().optional(),
  remote_model: z.string().optional(),
  remote_host: z.string().optional(),
  system: z.string().optional(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).optional(),
  projector_info: z.record(z.string(), z.unknown()).optional(),
  modelfile: z.string().optional(),
}).meta({
  id: "ModelDetails",
  description:
    "The details of a model, as Ollama shows them. Each field may be missing; those after `model_info` are present only " +
    "where the agent and its Ollama send them.",
});

export const ShownDocument = ModelDocument.extend({
  show: orNull(ModelDetailsDocument),
  unavailable: unavailableAgents,
}).meta({
  id: "ShownModel",
  description: "One model on one agent. `show` is null when the agent could not answer; `unavailable` has the reason.",
});
export type ShownDocument = z.infer<typeof ShownDocument>;

export function modelsDocument({ models, unavailable }: FleetModels): ModelsDocument {
  return { models: models.map(modelDocument), ...unavailableField(unavailable) };
}

/** @param show the agent's response, or why it could not answer */
export function shownDocument(model: ModelDocument, show: ModelDetails | Unavailable): ShownDocument {
  if ("reason" in show) return { ...model, show: null, unavailable: [{ ...show }] };
  const { modified_at } = show;
  return { ...model, show: { ...show, ...(modified_at === undefined ? {} : { modified_at: instant(modified_at) }) } };
}

export function modelDocument(model: FleetModel): ModelDocument {
  const { name, size, digest, modified_at, remote_model, remote_host, details, capabilities, agents } = model;
  const present = {
    ...(remote_model === undefined ? {} : { remote_model }),
    ...(remote_host === undefined ? {} : { remote_host }),
    ...(details === undefined ? {} : { details }),
    ...(capabilities === undefined ? {} : { capabilities }),
  };
  return { name, size, digest, modified_at: instant(modified_at), ...present, agents: [...agents] };
}
