// What each verb does on the box. Imports jobs, the Ollama module and monitor, errors.
import { CourierError } from "../errors.ts";
import type { Response, Verb } from "../protocol.ts";
import type { AcceptedCommand } from "./commands.ts";
import type { Jobs } from "./jobs.ts";
import type { Ollama } from "./ollama.ts";
import type { OllamaMonitor } from "./ollama_monitor.ts";

export interface VerbContext {
  readonly jobs: Jobs;
  readonly ollama: Pick<Ollama, "deleteModel">;
  readonly monitor: OllamaMonitor;
  /** When the command's run began before a crash, so that its effect may be there already; null: it begins now. */
  readonly resumedSinceMs: number | null;
}

/** What an answer holds besides the fields of every answer. */
export type Result = Pick<Response, "message" | "models" | "job">;

type Handler = (command: AcceptedCommand, context: VerbContext) => Promise<Result> | Result;

/** The verbs that this release serves. */
const HANDLERS: Partial<Record<Verb, Handler>> = {
  ping: () => ({ message: "pong" }),
  list_models: async (_, { monitor }) => ({ models: [...(await monitor.listModels())] }),
  pull_model: (command, context) => pullModel(requireModel(command), context),
  delete_model: async (command, context) => await deleteModel(requireModel(command), context),
};

/**
 * Runs one command. A changing one resolves when its effect shows in the agent's lists.
 * @throws CourierError with the code that answers the command; `unimplemented` for a verb that is not served yet
 */
export async function runVerb(command: AcceptedCommand, context: VerbContext): Promise<Result> {
  const handler = HANDLERS[command.verb];
  if (handler !== undefined) return await handler(command, context);
  throw new CourierError("unimplemented", `This agent does not serve ${command.verb}`, {
    hint: "Update gpu-agent on this box",
  });
}

function pullModel(model: string, { jobs, resumedSinceMs }: VerbContext): Result {
  return { message: `Started pulling model ${model}`, job: jobs.pull(model, resumedSinceMs) };
}

/** A pull of the model is cancelled first: what is deleted must not come back. */
async function deleteModel(model: string, { jobs, ollama, monitor, resumedSinceMs }: VerbContext): Promise<Result> {
  const cancelled = await jobs.cancel(model);
  try {
    await ollama.deleteModel(model);
  } catch (error) {
    const missing = error instanceof CourierError && error.code === "not_found";
    if (!missing || !(cancelled || resumedSinceMs !== null)) throw error;
    if (cancelled) return { message: `Cancelled the pull of model ${model}, which was not installed` };
  }
  await monitor.refresh();
  return { message: `Successfully deleted model ${model}` };
}

function requireModel({ verb, model }: AcceptedCommand): string {
  if (model !== null) return model;
  throw new CourierError("invalid", `Model name is required for ${verb}`);
}
