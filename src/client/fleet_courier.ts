// What the verbs need of a fleet, wherever gpuctl reaches it: on the share itself, or through gpu-server. Contract only.
import type { Check } from "../base/check.ts";
import type { CourierError } from "../base/errors.ts";
import type { AgentView } from "../courier/agent_view.ts";
import type { PruneChoices, ShownPruned, ShownUsage } from "../courier/disk.ts";
import type { FleetModel } from "../courier/fleet_model.ts";
import type { FleetModels } from "../courier/models.ts";
import type { FleetRunning } from "../courier/running.ts";
import type { Agents } from "../courier/selection.ts";
import type { Unavailable } from "../courier/unavailable.ts";
import type { AgentDocument } from "../documents/agents.ts";
import type { Refused } from "../documents/contact.ts";
import type { JobsDocument } from "../documents/jobs.ts";
import type { DesiredDocument } from "../documents/models/desired.ts";
import type { ModelFitDocument } from "../documents/models/fit.ts";
import type { FetchDocument, FetchesDocument, FreedDocument, MirrorDocument } from "../documents/models/mirror.ts";
import type { UpdatesDocument } from "../documents/models/updates.ts";
import type { RegistryChoices } from "../program/registry/flags.ts";
import type { Job, KeepAlive, ModelDetails, Response } from "../protocol.ts";
import type { Forgotten } from "../transport.ts";
import type { Decision } from "../trust/agents/decisions.ts";
import type { AgentKey } from "../trust/agents/known_agents.ts";

export interface Asking {
  readonly signal?: AbortSignal | undefined;
}

export interface AskingForList extends Asking {
  /** Ask the agents rather than read what they published. */
  readonly fresh?: boolean;
}

export interface AskingForPull extends Asking {
  /** Pull even if the agent says that the model does not fit its disk. */
  readonly force?: boolean | undefined;
  /** Pull outside the windows of the agent's box too. */
  readonly now?: boolean | undefined;
}

/** A list of a state. */
export type ListName = "models" | "running" | "jobs";

/** What a person decides about an agent's key; `key` as `parseGivenKey()` returns it, undefined: confirm the known one. */
export type KeyChoice = { readonly key: string | undefined } | "unsigned";

/** The fetches into the mirror of agents, and through gpu-server also its own. */
interface FleetFetches {
  /** The newest first. */
  list(): Promise<FetchesDocument>;
  /** Starts or joins the fetch of a model. @param agent undefined: gpu-server fetches; `invalid` on the share */
  start(model: string, agent: string | undefined): Promise<FetchDocument>;
  find(id: string, signal?: AbortSignal): Promise<FetchDocument>;
  cancel(id: string): Promise<FetchDocument>;
}

/** The mirror that gpu-server runs. Each method rejects with a `CourierError`: `unimplemented` where it runs none. */
interface ServersMirror {
  read(): Promise<MirrorDocument>;
  remove(model: string): Promise<FreedDocument>;
  collect(): Promise<FreedDocument>;
  /** Fetches it, or joins the fetch; afterwards gpu-server pulls it on these agents. The document has the fetch. */
  pull(model: string, agents: readonly string[], options: AskingForPull): Promise<JobsDocument>;
}

/**
 * Every implementation answers alike: the same documents, the same errors. Methods without a comment are as those of
 * `Courier`, and like there each rejects with a `CourierError`.
 */
export interface FleetCourier {
  /** Where the fleet is, for people. */
  readonly description: string;
  /** Null: gpuctl works on the share itself. */
  readonly mirror: ServersMirror | null;
  readonly fetches: FleetFetches;
  /** The clock that agents and senders share, in ms since 1970. */
  now(): number;
  /** Once before anything but `doctor()`, `knownKeys()` and `trust()`. @throws CourierError `unavailable` */
  connect(): Promise<void>;

  /** What a view's `state` does not show, its `truncated` names: it is asked for by a method of its own. */
  agents(): Promise<readonly AgentView[]>;
  lastKnownAgents(): readonly AgentView[];
  choose(names: Agents | undefined): Promise<readonly AgentView[]>;
  /** These views with these lists, where one of them has to be asked for. @throws CourierError */
  fill(views: readonly AgentView[], lists: readonly ListName[], options?: Asking): Promise<readonly AgentView[]>;
  /** The document of a view that this courier returned. */
  document(view: AgentView): AgentDocument;
  ping(agent: string, options?: Asking): Promise<number>;
  forget(agent: string): Promise<Forgotten>;
  /** Why this agent would not be forgotten now; undefined: it would. */
  reasonToKeep(view: AgentView): Promise<CourierError | undefined>;

  listModels(names: Agents | undefined, options?: AskingForList): Promise<FleetModels>;
  listRunning(names: Agents | undefined, options?: AskingForList): Promise<FleetRunning>;
  /**
   * The models of these agents compared with their registries.
   * @param pattern of their names
   * @param options which registries may be asked from here; gpu-server has settings of its own
   */
  updates(
    names: Agents | undefined,
    pattern: string,
    options: Asking & { readonly registries: RegistryChoices },
  ): Promise<UpdatesDocument>;
  /** A model as its registry has it now, and which of these agents it fits; undefined: all. */
  fit(
    model: string,
    names: Agents | undefined,
    options: Asking & { readonly registries: RegistryChoices },
  ): Promise<ModelFitDocument>;
  /** Where the fleet differs from the file that gpu-server keeps it to. @throws CourierError `invalid` on a share */
  desired(options?: Asking): Promise<DesiredDocument>;
  describeModel(
    agent: string,
    model: string,
    options?: Asking,
  ): Promise<{ readonly model: FleetModel; readonly show: ModelDetails }>;
  deleteModel(agent: string, model: string, options?: Asking): Promise<Response>;
  copyModel(agent: string, model: string, destination: string, options?: Asking): Promise<void>;
  loadModel(
    agent: string,
    model: string,
    options?: Asking & { readonly keepAlive?: KeepAlive | undefined; readonly whileRunningMs?: number | undefined },
  ): Promise<Pick<Response, "message">>;
  unloadModel(agent: string, model: string, options?: Asking): Promise<Pick<Response, "message">>;
  diskUsage(agent: string, options?: Asking): Promise<ShownUsage>;
  prune(agent: string, choices?: PruneChoices, options?: Asking): Promise<ShownPruned>;
  /** Which online agents publish a model of this name, with its digest, in order of agents. */
  holders(model: string): Promise<readonly { readonly agent: string; readonly digest: string }[]>;

  listJobs(names: Agents | undefined): Promise<{ jobs: readonly Job[]; unavailable: readonly Unavailable[] }>;
  findJob(id: string, options?: Asking): Promise<Job>;
  pullModel(agent: string, model: string, options?: AskingForPull): Promise<Job>;
  cancelJob(job: Job, options?: Asking): Promise<Job>;
  followJob(agent: string, id: string, signal?: AbortSignal): AsyncGenerator<Job>;
  /** What these agents refused, in their order, as far as the last call of `listJobs()` shows. */
  refused(names: Agents | undefined): Promise<readonly Refused[]>;

  /** Every check that can be made from here. Never rejects. */
  doctor(names: Agents | undefined, signal: AbortSignal): AsyncIterable<Check>;
  /** The keys by which agents are known, in order of agents. */
  knownKeys(): Promise<readonly { readonly agent: string; readonly key: AgentKey }[]>;
  trust(agent: string, choice: KeyChoice): Promise<Decision>;
}
