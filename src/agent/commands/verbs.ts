// Runs each verb on the box.

import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { isCloudName, normalModelName, sameModel } from "../../base/model_name.ts";
import type { Protection } from "../../program/protection.ts";
import type { AllowedRegistries } from "../../program/registry/allowed_registries.ts";
import { CommandId, keepAliveSeconds, type Model, type Verb } from "../../protocol.ts";
import type { ModelsFolder } from "../disk/models_folder.ts";
import { deleteModel } from "../models/deletion.ts";
import { pruneDisk, showDisk } from "../models/disk_verbs.ts";
import type { LateCommands } from "../models/late_commands.ts";
import { loadModel } from "../models/loading.ts";
import type { Loads } from "../models/loads.ts";
import { type ManifestReader, readPublished } from "../models/published.ts";
import { shownDetails } from "../models/shown.ts";
import { isLoaded, unload } from "../models/unloading.ts";
import type { OllamaMonitor } from "../ollama/monitor.ts";
import type { Ollama } from "../ollama/ollama.ts";
import { OllamaError } from "../ollama/ollama_error.ts";
import type { Fetches } from "../pulls/fetches/fetches.ts";
import type { Jobs } from "../pulls/jobs.ts";
import type { Preflight } from "../pulls/preflight.ts";
import { firstThatFit } from "./cut_lists.ts";
import type { AcceptedCommand } from "./judge.ts";
import { listModels } from "./list_models.ts";
import type { Result } from "./response.ts";
import type { VerifiedCommand } from "./verify.ts";

export interface VerbsDeps {
  readonly jobs: Jobs;
  /** Null: this box brings nothing into the mirror. */
  readonly fetches: Pick<Fetches, "fetch" | "has" | "cancel"> | null;
  readonly ollama: Pick<Ollama, "deleteModel" | "showModel" | "copyModel" | "loadModel" | "unloadModel">;
  readonly monitor: OllamaMonitor;
  readonly models: ModelsFolder;
  readonly registries: Pick<AllowedRegistries, "requireAllowed">;
  /** Null: this box asks no registry. */
  readonly registry: ManifestReader | null;
  readonly preflight: Preflight;
  readonly protection: Protection;
  readonly late: LateCommands;
  readonly loads: Loads;
  readonly clock: Clock;
}

/** When a command was sent and is run. */
export interface Timing {
  /** When it was sent, on the transport's clock; never later than `nowMs`. */
  readonly askedAtMs: number;
  /** When it is run, on the transport's clock. */
  readonly nowMs: number;
  /** When its run began before a crash, on the box's clock; null: this is its first run. */
  readonly resumedSinceMs: number | null;
}

interface VerbContext extends VerbsDeps, Timing {}

type Handler = (command: AcceptedCommand, context: VerbContext) => Promise<Result> | Result;

const HANDLERS: Record<Verb, Handler> = {
  ping: () => ({ message: "pong" }),
  list_models: async (command, { monitor }) => await listModels(command, monitor),
  list_running: async (_, { monitor }) => {
    const { kept, truncated } = firstThatFit("running", await monitor.listRunning());
    return { running: kept, ...truncated };
  },
  list_jobs: (_, { jobs }) => {
    const { kept, truncated } = firstThatFit("jobs", jobs.history().toReversed());
    return { jobs: kept.toReversed(), ...truncated };
  },
  show_model: async (command, context) => await showModel(requireModel(command), context),
  pull_model: async (command, context) => await pullModel(requireModel(command), command, context),
  delete_model: async (command, context) => await deleteModel(requireModel(command), context),
  copy_model: async (command, context) => await copyModel(requireModel(command), destinationOf(command), context),
  load_model: async (command, context) => await loadModel(requireModel(command), keepAliveOf(command), context),
  unload_model: async (command, context) => await unloadModel(requireModel(command), context),
  cancel_job: async (command, context) => await cancelJob(jobIdOf(command), context),
  disk_usage: async (_, context) => await showDisk(context),
  prune: async (command, context) => await pruneDisk(command.arguments, context),
  fetch_model: (command, context) => fetchModel(requireModel(command), context),
  published_model: async (command, context) => await readPublished(requireModel(command), context),
};

export class Verbs {
  readonly #deps: VerbsDeps;

  constructor(deps: VerbsDeps) {
    this.#deps = deps;
  }

  /**
   * Runs one command. A changing one resolves when its effect shows in the agent's lists.
   * @throws CourierError with the code that answers the command
   */
  async run(command: VerifiedCommand, timing: Timing): Promise<Result> {
    try {
      return await HANDLERS[command.verb](command, { ...this.#deps, ...timing });
    } catch (error) {
      throw error instanceof OllamaError ? error.during(deedOf(command)) : error;
    }
  }
}

/** What the sender asked for: the failed request to Ollama may only be a step of it. */
function deedOf({ verb, model, arguments: given }: AcceptedCommand): string {
  const [name, destination] = [JSON.stringify(model), JSON.stringify(given["destination"])];
  const deeds: Record<Verb, string> = {
    ping: "answer the ping",
    list_models: "list the models",
    list_running: "list the loaded models",
    list_jobs: "list the jobs",
    show_model: `show ${name}`,
    pull_model: `pull ${name}`,
    delete_model: `delete ${name}`,
    copy_model: `copy ${name} to ${destination}`,
    load_model: `load ${name}`,
    unload_model: `unload ${name}`,
    cancel_job: `cancel the job ${String(given["job_id"])}`,
    disk_usage: "show what is on the disk",
    prune: "remove what is left over",
    fetch_model: `fetch ${name} into the mirror`,
    published_model: `ask the registry of ${name}`,
  };
  return deeds[verb];
}

/** The details, and the model's entry of the list, so that the sender need not ask for the whole list. */
async function showModel(model: string, { ollama, monitor }: VerbContext): Promise<Result> {
  const isMeant = ({ name }: Model): boolean => sameModel(name, model);
  const find = async (): Promise<Model | undefined> =>
    monitor.models?.find(isMeant) ?? (await monitor.listModels()).find(isMeant);
  // Otherwise anyone could make this machine ask ollama.com.
  if (isCloudName(model) && (await find()) === undefined)
    throw new CourierError("not_found", `model '${model}' not found`);
  const show = shownDetails(await ollama.showModel(model));
  const listed = await find();
  return { show, ...(listed === undefined ? {} : { models: [listed] }) };
}

/**
 * Starts a pull that fits, or joins the one under way. A legacy backend does not read the response: its pull starts even if
 * it does not fit, and fails as a job that everyone can see.
 */
async function pullModel(model: string, command: AcceptedCommand, context: VerbContext): Promise<Result> {
  const { jobs, registries, preflight, late, askedAtMs, resumedSinceMs } = context;
  registries.requireAllowed(model);
  late.requireNotDeleted("pull", model, context);
  const [force, now] = [command.arguments["force"] === true, command.arguments["now"] === true];
  const others = jobs.active();
  const isNew = !others.some((job) => sameModel(job.model, model));
  const looks = isNew && resumedSinceMs === null && command.answerTo.version === 2;
  const foreseen = looks ? await preflight.check(model, { force, others }) : undefined;
  return {
    message: `Started pulling model ${model}`,
    job: jobs.pull(model, { force, now, foreseen, askedAtMs, resumedSinceMs, requestedBy: command.requestedBy }),
  };
}

/** A job, or a fetch into the mirror: ids of both are unique. */
async function cancelJob(id: string, { jobs, fetches }: VerbContext): Promise<Result> {
  if (fetches?.has(id) === true) {
    const fetch = await fetches.cancel(id);
    return { message: `Cancelled fetching model ${fetch.model} into the mirror`, fetch };
  }
  const job = await jobs.cancelJob(id);
  return { message: `Cancelled pulling model ${job.model}`, job };
}

/** Starts a fetch into the mirror, or joins the one under way. */
function fetchModel(model: string, { fetches, registries, resumedSinceMs }: VerbContext): Result {
  if (fetches === null) {
    throw new CourierError("forbidden", `Cannot fetch ${JSON.stringify(model)}: this box is no source of the mirror`, {
      hint: "Ask a box whose agent runs with --mirror-source, or gpu-server with --mirror",
    });
  }
  registries.requireAllowed(model);
  const fetch = fetches.fetch(model, resumedSinceMs);
  return { message: `Started fetching model ${model} into the mirror`, fetch };
}

async function copyModel(model: string, destination: string, context: VerbContext): Promise<Result> {
  const { ollama, monitor, protection, jobs, late } = context;
  protection.requireOpen("copy onto", destination);
  late.requireNotDeleted("copy onto", destination, context);
  const pull = jobs.active().find((job) => sameModel(job.model, destination));
  if (pull !== undefined) {
    throw new CourierError("conflict", `Cannot copy onto ${JSON.stringify(destination)}: it is being pulled`, {
      hint: `Wait for job ${pull.id}, or cancel it`,
    });
  }
  await ollama.copyModel(model, destination);
  late.note("copy", destination, context);
  await monitor.refresh();
  return { message: `Copied model ${model} to ${destination}` };
}

async function unloadModel(model: string, context: VerbContext): Promise<Result> {
  if (isCloudName(model)) {
    throw new CourierError("invalid", `Cannot unload ${JSON.stringify(model)}: ollama.com runs it, not this machine`);
  }
  const wasLoading = context.loads.end(model);
  const wasLoaded = wasLoading || (await isLoaded(model, context.monitor));
  const gone = await unload(model, context);
  if (!gone) return { message: `${model} will be unloaded when its current request finishes` };
  return { message: wasLoaded ? `unloaded ${model}` : `${model} was not loaded` };
}

function requireModel({ verb, model }: AcceptedCommand): string {
  if (model !== null) return model;
  throw new CourierError("invalid", `Model name is required for ${verb}`);
}

function destinationOf({ arguments: { destination } }: AcceptedCommand): string {
  if (typeof destination === "string") return normalModelName(destination);
  throw new CourierError("invalid", "Cannot copy: arguments.destination is missing", {
    hint: "It is the name of the copy",
  });
}

/** Undefined: as Ollama is set. */
function keepAliveOf({ arguments: { keep_alive: given } }: AcceptedCommand): number | undefined {
  return given === undefined || given === null ? undefined : keepAliveSeconds(given);
}

function jobIdOf({ arguments: { job_id } }: AcceptedCommand): string {
  const id = CommandId.safeParse(job_id);
  if (id.success) return id.data;
  throw new CourierError("invalid", "Cannot cancel: arguments.job_id must be the id of a job");
}
