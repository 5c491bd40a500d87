// The documents about models in memory that `/v1` serves and `gpuctl --json` prints: ps and load.
import { z } from "zod";
import type { FleetRunning } from "../courier/running.ts";
import { AgentName, RunningModel } from "../protocol.ts";
import { instant } from "./instants.ts";
import { BriefDetailsDocument } from "./models.ts";
import { Bytes, Instant } from "./named.ts";
import { UnloadedDocument, unloadedDocument } from "./outcomes.ts";
import { unavailableAgents, unavailableField } from "./unavailable.ts";

export const LoadedDocument = z
  .object({ agents: UnloadedDocument.shape.agents })
  .meta({ id: "Loaded", description: "The result on each agent; `code` and `error` are null where it succeeded." });
export type LoadedDocument = z.infer<typeof LoadedDocument>;

/** @param message of the agent, if only one was asked */
export function loadedDocument(
  outcomes: Parameters<typeof unloadedDocument>[0],
  model: string,
  message?: string,
): LoadedDocument {
  return unloadedDocument(outcomes, model, message);
}

export const RunningDocument = z
  .object({
    running: z.array(
      RunningModel.extend({
        size: Bytes,
        size_vram: Bytes,
        expires_at: Instant,
        digest: z.string().optional(),
        details: BriefDetailsDocument.optional(),
        context_length: z.int().nonnegative().optional(),
        agent: AgentName,
      }).meta({
        id: "RunningModel",
        description:
          "A loaded model. Sizes in bytes; `size_vram` is the part on the GPU; `context_length` in tokens. `digest`, " +
          "`details` and `context_length` are present only where the agent and its Ollama send them.",
      }),
    ),
    unavailable: unavailableAgents,
  })
  .meta({ id: "Running" });
export type RunningDocument = z.infer<typeof RunningDocument>;

export function runningDocument({ running, unavailable }: FleetRunning): RunningDocument {
  return { running: running.map(runningModel), ...unavailableField(unavailable) };
}

function runningModel(model: FleetRunning["running"][number]): RunningDocument["running"][number] {
  const { agent, name, size, size_vram, expires_at, digest, details, context_length } = model;
  const present = {
    ...(digest === undefined ? {} : { digest }),
    ...(details === undefined ? {} : { details }),
    ...(context_length === undefined ? {} : { context_length }),
  };
  return { agent, name, size, size_vram, expires_at: instant(expires_at), ...present };
}
