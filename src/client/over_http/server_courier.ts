// The fleet through gpu-server: each method of the share's courier as requests to `/v1`.
import type { Check } from "../../base/check.ts";
import type { Clock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { PruneChoices, ShownPruned, ShownUsage } from "../../courier/disk.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import type { FleetModels } from "../../courier/models.ts";
import { agentAway, tooLate } from "../../courier/refusals.ts";
import type { FleetRunning } from "../../courier/running.ts";
import { type Agents, chooseAgents, isListed, stillThere } from "../../courier/selection.ts";
import type { Unavailable } from "../../courier/unavailable.ts";
import type { AgentDocument } from "../../documents/agents.ts";
import { PingDocument, type Refused, RefusedCommandsDocument } from "../../documents/contact.ts";
import { JobDocument, JobsDocument } from "../../documents/jobs.ts";
import type { DesiredDocument } from "../../documents/models/desired.ts";
import type { ModelFitDocument } from "../../documents/models/fit.ts";
import type { UpdatesDocument } from "../../documents/models/updates.ts";
import { ModelsDocument, ShownDocument } from "../../documents/models.ts";
import { CopiedDocument, DeletedDocument, UnloadedDocument } from "../../documents/outcomes.ts";
import { LoadedDocument } from "../../documents/running.ts";
import {
  isEnded,
  type Job,
  type KeepAlive,
  keepAliveSeconds,
  type ModelDetails,
  type Response,
} from "../../protocol.ts";
import type { Forgotten } from "../../transport.ts";
import type { Decision } from "../../trust/agents/decisions.ts";
import type { AgentKey } from "../../trust/agents/known_agents.ts";
import type { Asking, AskingForList, AskingForPull, FleetCourier, KeyChoice, ListName } from "../fleet_courier.ts";
import { examineServer } from "./doctor.ts";
import { errorOf, notGpuServer, tooOld } from "./failures.ts";
import { ServerFleet } from "./fleet.ts";
import { forgetAgent } from "./forget.ts";
import type { ServerHttp } from "./http.ts";
import { ServerLists } from "./lists.ts";
import { readDesired } from "./models/desired.ts";
import { pruneDisk, readDisk } from "./models/disk.ts";
import { FetchesOverHttp } from "./models/fetches.ts";
import { readFitOf } from "./models/fit.ts";
import { MirrorOverHttp } from "./models/mirror.ts";
import { readUpdatesOf } from "./models/updates.ts";
import { decide } from "./trust.ts";
import { filledViews } from "./views/filled_views.ts";

/** Agents publish progress at most twice a second. */
const FOLLOW_INTERVAL_MS = 500;
/** gpu-server waits for a load for 60 s at most. */
const LOAD_MS = 60_000;
/** Each followed job costs two requests, and a token with limits may send 20 a second: the more jobs, the longer the interval. */
const FOLLOW_SHARE_MS = 150;

export class ServerCourier implements FleetCourier {
  readonly mirror: MirrorOverHttp;
  readonly fetches: FetchesOverHttp;
  readonly #http: ServerHttp;
  readonly #clock: Clock;
  readonly #fleet: ServerFleet;
  readonly #lists: ServerLists;
  #followed = 0;

  constructor(http: ServerHttp, clock: Clock) {
    this.#http = http;
    this.#clock = clock;
    this.#fleet = new ServerFleet(http, clock);
    this.#lists = new ServerLists(http, this.#fleet);
    this.mirror = new MirrorOverHttp(http);
    this.fetches = new FetchesOverHttp(http);
  }

  get description(): string {
    return `gpu-server at ${this.#http.base}`;
  }

  now(): number {
    return this.#http.now();
  }

  /** Reads the agents, which every verb needs next. */
  async connect(): Promise<void> {
    await this.#fleet.read();
  }

  async agents(): Promise<readonly AgentView[]> {
    return await this.#fleet.recent.read();
  }

  lastKnownAgents(): readonly AgentView[] {
    return this.#fleet.lastKnown();
  }

  async choose(names: Agents | undefined): Promise<readonly AgentView[]> {
    return await chooseAgents(this.#fleet.recent, names);
  }

  async fill(
    views: readonly AgentView[],
    lists: readonly ListName[],
    { signal }: Asking = {},
  ): Promise<readonly AgentView[]> {
    return await filledViews(this.#http, views, lists, signal);
  }

  document(view: AgentView): AgentDocument {
    return this.#fleet.document(view);
  }

  async ping(agent: string, { signal }: Asking = {}): Promise<number> {
    const startedMs = this.#clock.monotonic();
    try {
      await this.#http.send("POST", `/v1/agents/${agent}/ping`, PingDocument, { signal });
    } catch (error) {
      const isKnown = this.lastKnownAgents().some((view) => view.agent === agent);
      throw isKnown && asCourierError(error).code === "not_found" ? tooOld(this.#http.base, "POST …/ping") : error;
    }
    return this.#clock.monotonic() - startedMs;
  }

  async forget(agent: string): Promise<Forgotten> {
    return await forgetAgent(this.#http, agent);
  }

  async reasonToKeep(view: AgentView): Promise<CourierError | undefined> {
    return await Promise.resolve(stillThere(view, this.now() - Date.parse(view.lastSeenAt)));
  }

  async listModels(names: Agents | undefined, options?: AskingForList): Promise<FleetModels> {
    return await this.#lists.models(names, options);
  }

  async listRunning(names: Agents | undefined, options?: AskingForList): Promise<FleetRunning> {
    return await this.#lists.running(names, options);
  }

  async updates(
    names: Agents | undefined,
    pattern: string,
    { signal }: Parameters<FleetCourier["updates"]>[2],
  ): Promise<UpdatesDocument> {
    return await readUpdatesOf(this.#http, await this.#limitedTo(names), pattern, signal);
  }

  async fit(
    model: string,
    names: Agents | undefined,
    { signal }: Parameters<FleetCourier["fit"]>[2],
  ): Promise<ModelFitDocument> {
    return await readFitOf(this.#http, model, await this.#limitedTo(names), signal);
  }

  async desired({ signal }: Asking = {}): Promise<DesiredDocument> {
    return await readDesired(this.#http, signal);
  }

  /** Undefined: to all. */
  async #limitedTo(names: Agents | undefined): Promise<readonly AgentView[] | undefined> {
    return names === undefined || names === "all" ? undefined : await this.choose(names);
  }

  async describeModel(
    agent: string,
    model: string,
    { signal }: Asking = {},
  ): Promise<{ readonly model: FleetModel; readonly show: ModelDetails }> {
    const document = await this.#http.get(modelPath(agent, model), ShownDocument, { signal });
    const { show, unavailable: [failure] = [], ...listed } = document;
    if (show !== null) return { model: this.#lists.model(listed), show };
    throw new CourierError(failure?.code ?? "unavailable", failure?.reason ?? `${agent} did not answer`, {
      saidBy: failure === undefined ? undefined : agent,
    });
  }

  async deleteModel(agent: string, model: string, { signal }: Asking = {}): Promise<Response> {
    const { agents } = await this.#http.send("DELETE", modelPath(agent, model), DeletedDocument, { signal });
    const { freed_bytes, shared_bytes, job } = agents[0] ?? {};
    return { success: true, freed_bytes, shared_bytes, job };
  }

  async copyModel(agent: string, model: string, destination: string, { signal }: Asking = {}): Promise<void> {
    const body = { destination: normalModelName(destination) };
    await this.#http.send("POST", `${modelPath(agent, model)}/copy`, CopiedDocument, { body, signal });
  }

  async loadModel(
    agent: string,
    model: string,
    { keepAlive, signal }: Asking & { readonly keepAlive?: KeepAlive | undefined } = {},
  ): Promise<Pick<Response, "message">> {
    const body = keepAlive === undefined ? {} : { body: { keep_alive: keepAliveSeconds(keepAlive) } };
    const path = `${modelPath(agent, model)}/load`;
    const { agents } = await this.#http.send("POST", path, LoadedDocument, { ...body, signal, minimumMs: LOAD_MS });
    return { message: agents[0]?.message };
  }

  async unloadModel(agent: string, model: string, { signal }: Asking = {}): Promise<Pick<Response, "message">> {
    const path = `${modelPath(agent, model)}/unload`;
    const { agents } = await this.#http.send("POST", path, UnloadedDocument, { signal });
    return { message: agents[0]?.message };
  }

  async diskUsage(agent: string, { signal }: Asking = {}): Promise<ShownUsage> {
    return await readDisk(this.#http, agent, signal);
  }

  async prune(agent: string, choices: PruneChoices = {}, { signal }: Asking = {}): Promise<ShownPruned> {
    return await pruneDisk(this.#http, agent, choices, signal);
  }

  async holders(model: string): ReturnType<FleetCourier["holders"]> {
    const pages = await this.#http.getPages("/v1/models", ModelsDocument);
    const found = pages.flatMap(({ models }) => models).filter(({ name }) => sameModel(name, model));
    const views = (await this.agents()).filter(({ online }) => online);
    return views.flatMap(({ agent }) => {
      const held = found.find(({ agents }) => agents.includes(agent));
      return held === undefined ? [] : [{ agent, digest: held.digest }];
    });
  }

  async listJobs(
    names: Agents | undefined,
  ): Promise<{ readonly jobs: readonly Job[]; readonly unavailable: readonly Unavailable[] }> {
    return await this.#lists.jobs(names);
  }

  async findJob(id: string, { signal }: Asking = {}): Promise<Job> {
    return await this.#http.get(`/v1/jobs/${id}`, JobDocument, { signal });
  }

  async pullModel(agent: string, model: string, { force, now, signal }: AskingForPull = {}): Promise<Job> {
    // A field that an older server does not know is sent only where it says something.
    const given = { ...(force === true ? { force } : {}), ...(now === true ? { now } : {}) };
    const body = { kind: "pull", model: normalModelName(model), agents: [agent], ...given };
    const { jobs, refusals = [] } = await this.#http.send("POST", "/v1/jobs", JobsDocument, {
      body,
      signal,
      awaited: agent,
    });
    const [refusal] = refusals;
    if (refusal !== undefined) throw errorOf(refusal);
    const [job] = jobs;
    if (job === undefined) throw notGpuServer(this.#http.base, "it started no job");
    // An older server gives no more details.
    if (job.state === "failed" && job.started_at === null)
      throw new CourierError(job.code ?? "internal", job.error ?? "The pull was refused");
    return job;
  }

  async cancelJob(job: Job, { signal }: Asking = {}): Promise<Job> {
    if (job.state === "cancelled") return job;
    if (isEnded(job) || job.id === null) throw tooLate(job);
    return await this.#http.send("POST", `/v1/jobs/${job.id}/cancel`, JobDocument, { signal, awaited: job.agent });
  }

  /** By asking again and again: unlike a stream, that gets through every proxy, and costs nothing when it breaks. */
  async *followJob(agent: string, id: string, signal?: AbortSignal): AsyncGenerator<Job> {
    this.#followed += 1;
    try {
      for (let last = ""; ; ) {
        const [view, job] = await Promise.all([this.#fleet.readOne(agent, signal), this.#jobOf(agent, id, signal)]);
        // Its agent may have stopped since it ended.
        if (!view.online && !isEnded(job)) throw agentAway(view);
        const text = JSON.stringify(job);
        if (text !== last) yield job;
        last = text;
        if (isEnded(job)) return;
        await this.#clock.sleep(Math.max(FOLLOW_INTERVAL_MS, this.#followed * FOLLOW_SHARE_MS), signal);
        if (signal?.aborted === true) throw new CourierError("cancelled", `Stopped following job ${id}: it continues`);
      }
    } finally {
      this.#followed -= 1;
    }
  }

  async refused(names: Agents | undefined): Promise<readonly Refused[]> {
    try {
      const { refused } = await this.#http.get("/v1/refused", RefusedCommandsDocument);
      return refused.filter(({ agent }) => isListed(agent, names));
    } catch (error) {
      // An older server has no such route, and shows none.
      if (asCourierError(error).code === "not_found") return [];
      throw error;
    }
  }

  doctor(names: Agents | undefined, signal: AbortSignal): AsyncIterable<Check> {
    const choose = async (chosen: Agents | undefined): Promise<readonly string[]> =>
      (await this.choose(chosen)).map(({ agent }) => agent);
    return examineServer(this.#http, choose, names, signal);
  }

  async knownKeys(): Promise<readonly { readonly agent: string; readonly key: AgentKey }[]> {
    const views = await this.agents();
    return views.flatMap(({ agent, key }) => (key === null ? [] : [{ agent, key }]));
  }

  async trust(agent: string, choice: KeyChoice): Promise<Decision> {
    return await decide(this.#http, agent, choice);
  }

  /** @throws CourierError `unavailable` when it is gone: the agent may be back in a moment, as on the share */
  async #jobOf(agent: string, id: string, signal: AbortSignal | undefined): Promise<Job> {
    try {
      return await this.#http.get(`/v1/jobs/${id}`, JobDocument, { signal, awaited: null });
    } catch (error) {
      if (asCourierError(error).code !== "not_found") throw error;
      throw new CourierError("unavailable", `${agent} no longer has the job ${id}`, { cause: error });
    }
  }
}

/** @throws CourierError `invalid` for what is no name of a model */
function modelPath(agent: string, model: string): string {
  return `/v1/agents/${agent}/models/${encodeURIComponent(normalModelName(model))}`;
}
