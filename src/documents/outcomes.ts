// The documents of single verbs, show, ps, cp and stop, from what the courier answers. Pure.
// Imports the schemas' types, the protocol's types, errors and the courier's lists.
import type { CourierError } from "../base/errors.ts";
import type { Unavailable } from "../courier/models.ts";
import type { FleetRunning } from "../courier/running.ts";
import type { ModelDetails } from "../protocol.ts";
import type { ModelDocument } from "./document_schemas.ts";
import type { CopiedDocument, RunningDocument, ShownDocument, UnloadedDocument } from "./verb_schemas.ts";

/** @param show what the agent answered, or why it did not */
export function shownDocument(model: ModelDocument, show: ModelDetails | Unavailable): ShownDocument {
  if ("reason" in show) return { ...model, show: null, unavailable: [{ ...show }] };
  return { ...model, show };
}

export function runningDocument({ running, unavailable }: FleetRunning): RunningDocument {
  const models = running.map(({ agent, name, size, size_vram, expires_at }) => {
    return { agent, name, size, size_vram, expires_at };
  });
  return { running: models, ...(unavailable.length === 0 ? {} : { unavailable: [...unavailable] }) };
}

interface Outcome {
  readonly agent: string;
  readonly error?: CourierError | undefined;
}

/** @param outcomes one per agent asked; no `error`: it has the model under the new name too */
export function copiedDocument(outcomes: readonly Outcome[], model: string, destination: string): CopiedDocument {
  return { agents: outcomes.map((outcome) => ({ ...outcomeOf(outcome, model), destination })) };
}

/** @param outcomes one per agent asked; no `error`: the model is not in its memory any more */
export function unloadedDocument(outcomes: readonly Outcome[], model: string): UnloadedDocument {
  return { agents: outcomes.map((outcome) => outcomeOf(outcome, model)) };
}

function outcomeOf({ agent, error }: Outcome, model: string) {
  return { agent, model, code: error?.code ?? null, error: error?.message ?? null };
}
