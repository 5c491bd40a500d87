// The documents about one action on several agents, that `/v1` serves and `gpuctl --json` prints: rm, cp and stop.
import { z } from "zod";
import type { CourierError } from "../base/errors.ts";
import { AgentName, type Response } from "../protocol.ts";
import { JobDocument } from "./jobs.ts";
import { Bytes, ErrorCode, orNull } from "./named.ts";

const OUTCOMES = "The result on each agent; `code` and `error` are null where it succeeded.";

const Outcome = z.object({
  agent: AgentName,
  model: z.string(),
  code: orNull(ErrorCode),
  error: z.string().nullable(),
});

/** Missing where the agent cannot read its disk. */
const DiskBytes = Bytes.optional();

export const DeletedDocument = z
  .object({
    agents: z.array(
      Outcome.extend({
        freed_bytes: DiskBytes.meta({ description: "Disk space that the delete freed" }),
        shared_bytes: DiskBytes.meta({ description: "Disk space that other models still use" }),
        /** The pull that was cancelled, because the model was not installed. */
        job: JobDocument.optional(),
      }),
    ),
  })
  .meta({ id: "Deleted", description: OUTCOMES });
export type DeletedDocument = z.infer<typeof DeletedDocument>;

export const CopiedDocument = z
  .object({ agents: z.array(Outcome.extend({ destination: z.string() })) })
  .meta({ id: "Copied", description: OUTCOMES });
export type CopiedDocument = z.infer<typeof CopiedDocument>;

export const UnloadedDocument = z
  .object({
    agents: z.array(Outcome.extend({ message: z.string().optional().meta({ description: "The words of the agent" }) })),
  })
  .meta({ id: "Unloaded", description: OUTCOMES });
export type UnloadedDocument = z.infer<typeof UnloadedDocument>;

/** The result on one agent. It succeeded unless there is an `error`. */
interface AgentOutcome {
  readonly agent: string;
  readonly error?: CourierError | undefined;
}

interface Deletion extends AgentOutcome {
  readonly model: string;
  readonly answer?: Response | undefined;
}

export function deletedDocument(outcomes: readonly Deletion[]): DeletedDocument {
  const agents = outcomes.map((outcome) => {
    const { freed_bytes, shared_bytes, job } = outcome.answer ?? {};
    const isKnown = typeof freed_bytes === "number" && typeof shared_bytes === "number";
    const bytes = isKnown ? { freed_bytes, shared_bytes } : {};
    return { ...outcomeOf(outcome, outcome.model), ...bytes, ...(job === undefined ? {} : { job }) };
  });
  return { agents };
}

export function copiedDocument(outcomes: readonly AgentOutcome[], model: string, destination: string): CopiedDocument {
  return { agents: outcomes.map((outcome) => ({ ...outcomeOf(outcome, model), destination })) };
}

/** @param message of the agent, if only one was asked */
export function unloadedDocument(outcomes: readonly AgentOutcome[], model: string, message?: string): UnloadedDocument {
  const said = message === undefined ? {} : { message };
  return { agents: outcomes.map((outcome) => ({ ...outcomeOf(outcome, model), ...said })) };
}

function outcomeOf({ agent, error }: AgentOutcome, model: string): z.infer<typeof Outcome> {
  return { agent, model, code: error?.code ?? null, error: error?.message ?? null };
}
