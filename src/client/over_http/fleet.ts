// Every agent that gpu-server shows, as the selection of agents reads them.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import { compareNames } from "../../base/order.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { FleetReader } from "../../courier/fleet.ts";
import { type AgentDocument, agentDocument } from "../../documents/agents.ts";
import { wrongPath } from "./failures.ts";
import type { ServerHttp } from "./http.ts";
import { ReadAgent, ReadAgents } from "./reading.ts";
import { viewOf } from "./views/view.ts";

/** A reading this young is good enough to send a command, as on the share, and shows the same agents as the next request. */
const RECENT_MS = 1_000;

interface Reading {
  readonly views: readonly AgentView[];
  readonly atMs: number;
}

export class ServerFleet implements Pick<FleetReader, "read" | "find" | "lastKnown"> {
  readonly #http: ServerHttp;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #documents = new WeakMap<AgentView, AgentDocument>();
  #last: Reading | undefined;
  #reading: Promise<readonly AgentView[]> | undefined;

  constructor(http: ServerHttp, clock: Pick<Clock, "monotonic">) {
    this.#http = http;
    this.#clock = clock;
  }

  async read(maxAgeMs = 0): Promise<readonly AgentView[]> {
    if (this.#last !== undefined && this.#clock.monotonic() - this.#last.atMs < maxAgeMs) return this.#last.views;
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined;
    });
    return await this.#reading;
  }

  /** As a selection reads them: a reading of the last second will do, unless it lacks the agent. */
  readonly recent: Pick<FleetReader, "read" | "find"> = {
    read: async () => await this.read(RECENT_MS),
    find: async (agent) => (await this.find(agent, RECENT_MS)) ?? (await this.find(agent)),
  };

  async find(agent: string, maxAgeMs = 0): Promise<AgentView | undefined> {
    return (await this.read(maxAgeMs)).find((view) => view.agent === agent);
  }

  lastKnown(): readonly AgentView[] {
    return this.#last?.views ?? [];
  }

  /** One agent as it is now, without the others. @throws CourierError `not_found` */
  async readOne(agent: string, signal?: AbortSignal): Promise<AgentView> {
    const document = await this.#http.get(`/v1/agents/${agent}`, ReadAgent, { signal });
    return this.#view(document);
  }

  document(view: AgentView): AgentDocument {
    return this.#documents.get(view) ?? agentDocument(view);
  }

  async #readNow(): Promise<readonly AgentView[]> {
    const pages = await this.#http.getPages("/v1/agents", ReadAgents).catch((error: unknown) => {
      // Every release of gpu-server has this route.
      throw asCourierError(error).code === "not_found" ? wrongPath(this.#http.base) : error;
    });
    const views = pages
      .flatMap(({ agents }) => agents.map((document) => this.#view(document)))
      .toSorted((a, b) => compareNames(a.agent, b.agent));
    this.#last = { views, atMs: this.#clock.monotonic() };
    return views;
  }

  #view(document: AgentDocument): AgentView {
    const view = viewOf(document, this.#http.now());
    this.#documents.set(view, document);
    return view;
  }
}
