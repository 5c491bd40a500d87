// What each verb does on the box. Imports jobs, the Ollama module and monitor, model names, errors.
import type { Clock } from "../clock.ts";
import { CourierError } from "../errors.ts";
import { normalModelName, sameModel } from "../model_name.ts";
import { CommandId, type Job, LIMITS, type ModelDetails, type Response, type Verb } from "../protocol.ts";
import type { AcceptedCommand } from "./commands.ts";
import type { Jobs } from "./jobs.ts";
import type { Ollama } from "./ollama.ts";
import type { OllamaMonitor } from "./ollama_monitor.ts";

export interface VerbContext {
  readonly jobs: Jobs;
  readonly ollama: Pick<Ollama, "deleteModel" | "showModel" | "copyModel" | "unloadModel">;
  readonly monitor: OllamaMonitor;
  readonly clock: Clock;
  /** When the command's run began before a crash, so that its effect may be there already; null: it begins now. */
  readonly resumedSinceMs: number | null;
}

/** What an answer holds besides the fields of every answer. */
export type Result = Pick<
  Response,
  "message" | "models" | "job" | "jobs" | "running" | "show" | "freed_bytes" | "shared_bytes"
>;

type Handler = (command: AcceptedCommand, context: VerbContext) => Promise<Result> | Result;

const HANDLERS: Record<Verb, Handler> = {
  ping: () => ({ message: "pong" }),
  list_models: async (_, { monitor }) => ({ models: [...(await monitor.listModels())] }),
  list_running: async (_, { monitor }) => ({ running: [...(await monitor.listRunning())] }),
  list_jobs: (_, { jobs }) => ({ jobs: lastThatFit(jobs.history()) }),
  show_model: async (command, { ollama }) => ({ show: bounded(await ollama.showModel(requireModel(command))) }),
  pull_model: (command, context) => pullModel(requireModel(command), command.arguments["force"] === true, context),
  delete_model: async (command, context) => await deleteModel(requireModel(command), context),
  copy_model: async (command, context) => await copyModel(requireModel(command), destinationOf(command), context),
  unload_model: async (command, context) => await unloadModel(requireModel(command), context),
  cancel_job: async (command, { jobs }) => {
    const job = await jobs.cancelJob(jobIdOf(command));
    return { message: `Cancelled pulling model ${job.model}`, job };
  },
};

/**
 * Runs one command. A changing one resolves when its effect shows in the agent's lists.
 * @throws CourierError with the code that answers the command
 */
export async function runVerb(command: AcceptedCommand, context: VerbContext): Promise<Result> {
  return await HANDLERS[command.verb](command, context);
}

function pullModel(model: string, force: boolean, { jobs, resumedSinceMs }: VerbContext): Result {
  return { message: `Started pulling model ${model}`, job: jobs.pull(model, { force, resumedSinceMs }) };
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

async function copyModel(model: string, destination: string, { ollama, monitor }: VerbContext): Promise<Result> {
  await ollama.copyModel(model, destination);
  await monitor.refresh();
  return { message: `Copied model ${model} to ${destination}` };
}

const UNLOADED_WITHIN_MS = 5000;
const UNLOAD_LOOK_MS = 100;

/** Ollama unloads when what the model is busy with is done: so the answer may be that it still is. */
async function unloadModel(model: string, { ollama, monitor, clock }: VerbContext): Promise<Result> {
  await ollama.unloadModel(model);
  const endsAtMs = clock.monotonic() + UNLOADED_WITHIN_MS;
  while ((await monitor.listRunning()).some(({ name }) => sameModel(name, model))) {
    if (clock.monotonic() >= endsAtMs) return { message: `Model ${model} is unloaded when it has done what it is at` };
    await clock.sleep(UNLOAD_LOOK_MS);
  }
  return { message: `Unloaded model ${model}` };
}

function requireModel({ verb, model }: AcceptedCommand): string {
  if (model !== null) return model;
  throw new CourierError("invalid", `Model name is required for ${verb}`);
}

function destinationOf({ arguments: { destination } }: AcceptedCommand): string {
  if (typeof destination === "string") return normalModelName(destination);
  throw new CourierError("invalid", "Cannot copy: arguments.destination is missing", {
    hint: "It is the name that the copy gets",
  });
}

function jobIdOf({ arguments: { job_id } }: AcceptedCommand): string {
  const id = CommandId.safeParse(job_id);
  if (id.success) return id.data;
  throw new CourierError("invalid", "Cannot cancel: arguments.job_id is missing or no id of a job");
}

/** Room for the other fields of the answer. */
const FITTING_BYTES = LIMITS.responseBytes - 64 * 1024;

/** The newest jobs, as many as an answer holds. */
function lastThatFit(jobs: readonly Job[]): Job[] {
  let fitting = [...jobs];
  while (Buffer.byteLength(JSON.stringify(fitting)) > FITTING_BYTES) {
    fitting = fitting.slice(Math.ceil(fitting.length / 2));
  }
  return fitting;
}

const MAX_TEXT_CHARS = 256 * 1024;
/** Vocabularies and the like are longer, and nobody reads them. */
const MAX_VALUE_CHARS = 4096;

/** What an answer holds, of a model whose file says more. */
function bounded(show: ModelDetails): ModelDetails {
  const texts = { parameters: show.parameters, template: show.template, license: show.license };
  const cut = Object.entries(texts).filter(([, text]) => text !== undefined);
  return {
    ...show,
    ...Object.fromEntries(cut.map(([field, text = ""]) => [field, text.slice(0, MAX_TEXT_CHARS)])),
    ...(show.details === undefined ? {} : { details: shortValues(show.details) }),
    ...(show.model_info === undefined ? {} : { model_info: shortValues(show.model_info) }),
  };
}

function shortValues(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const short = Object.entries(fields).filter(([, value]) => JSON.stringify(value).length <= MAX_VALUE_CHARS);
  return Object.fromEntries(short.slice(0, 500));
}
