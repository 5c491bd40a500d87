// Models, loaded models and jobs of several agents, from gpu-server: as the courier's lists, with the same errors.
import type { z } from "zod";
import { asCourierError } from "../../base/errors.ts";
import { compareNames } from "../../base/order.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import { type FleetModels, mergeModels } from "../../courier/models.ts";
import { noAgent, nobodyAnswered } from "../../courier/refusals.ts";
import { type FleetRunning, mergeRunning } from "../../courier/running.ts";
import { type Agents, listedAgents } from "../../courier/selection.ts";
import { awayEntry, failedEntry, NobodyAnswered, type Unavailable } from "../../courier/unavailable.ts";
import { JobsDocument } from "../../documents/jobs.ts";
import { ModelsDocument } from "../../documents/models.ts";
import { RunningDocument } from "../../documents/running.ts";
import type { Job } from "../../protocol.ts";
import type { AskingForList } from "../fleet_courier.ts";
import type { ServerFleet } from "./fleet.ts";
import type { ServerHttp } from "./http.ts";

type ModelDocument = z.output<typeof ModelsDocument>["models"][number];
/** The part of a list that came in one response. */
interface Part<Item> {
  readonly items: readonly Item[];
  readonly unavailable: readonly Unavailable[];
}

export class ServerLists {
  readonly #http: ServerHttp;
  readonly #fleet: ServerFleet;

  constructor(http: ServerHttp, fleet: ServerFleet) {
    this.#http = http;
    this.#fleet = fleet;
  }

  async models(names: Agents | undefined, { fresh = false, signal }: AskingForList = {}): Promise<FleetModels> {
    const views = await this.#listed(names);
    // For each page the server asks every agent again.
    const query = fresh ? { fresh: "true", limit: LARGEST_PAGE } : {};
    const read = async (agent?: string): Promise<Part<ModelDocument>> => {
      const pages = await this.#http.getPages("/v1/models", ModelsDocument, { query: { ...query, agent }, signal });
      return { items: pages.flatMap(({ models }) => models), unavailable: awayIn(pages) };
    };
    const mustAsk = (view: AgentView): boolean => fresh || view.state === null;
    const { items, unavailable } = await this.#parts(views, names, read, mustAsk);
    if (unavailable.length >= views.length) throw nobodyAnswered(views, unavailable);
    return { models: this.#merged(items), unavailable };
  }

  async running(names: Agents | undefined, { fresh = false, signal }: AskingForList = {}): Promise<FleetRunning> {
    const views = await this.#listed(names);
    const query = { fresh: fresh ? "true" : undefined };
    const parts = await Promise.all(
      views.map(async (view) =>
        isAway(view, false)
          ? { items: [], unavailable: [awayEntry(view)] }
          : await orFailed(view.agent, async () => {
              const path = `/v1/agents/${view.agent}/running`;
              const { running, unavailable = [] } = await this.#http.get(path, RunningDocument, { query, signal });
              return { items: running, unavailable };
            }),
      ),
    );
    const { items, unavailable } = joined(parts, views);
    if (unavailable.length >= views.length) throw nobodyAnswered(views, unavailable);
    return { running: mergeRunning(items.map(({ agent, ...model }) => ({ agent, running: [model] }))), unavailable };
  }

  async jobs(names: Agents | undefined): Promise<{ jobs: readonly Job[]; unavailable: readonly Unavailable[] }> {
    const views = await this.#listed(names);
    if (views.every(({ online }) => !online)) throw noAgent(views);
    const read = async (agent?: string): Promise<Part<Job>> => {
      const pages = await this.#http.getPages("/v1/jobs", JobsDocument, { query: { agent } });
      return { items: pages.flatMap(({ jobs }) => jobs), unavailable: awayIn(pages) };
    };
    // Also of agents that are away: their jobs as they were last seen.
    const { items, unavailable } = await this.#parts(views, names, read, undefined);
    const order = new Map(views.map(({ agent }, index) => [agent, index]));
    const at = ({ agent }: Job): number => order.get(agent) ?? views.length;
    return { jobs: items.toSorted((a, b) => at(a) - at(b)), unavailable };
  }

  /** The model that a response has, with the difference of the clock that its time is from. */
  model(document: ModelDocument): FleetModel {
    const offsets = new Map(this.#fleet.lastKnown().map(({ agent, state }) => [agent, state?.clock_offset_ms ?? 0]));
    // Which of several copies is the newest is not said; of copies of the same age it is the last agent's.
    return { ...document, clockOffsetMs: offsets.get(document.agents.at(-1) ?? "") ?? 0 };
  }

  async #listed(names: Agents | undefined): Promise<readonly AgentView[]> {
    return await listedAgents(this.#fleet.recent, names);
  }

  /**
   * All in one response, or one of each named agent.
   * @param mustAsk whether an agent is asked although its Ollama is away; undefined: every agent has an answer
   */
  async #parts<Item>(
    views: readonly AgentView[],
    names: Agents | undefined,
    read: (agent?: string) => Promise<Part<Item>>,
    mustAsk: ((view: AgentView) => boolean) | undefined,
  ): Promise<Part<Item>> {
    const isOut = (view: AgentView): boolean => mustAsk !== undefined && isAway(view, mustAsk(view));
    if (views.every(isOut)) return joined([{ items: [], unavailable: views.map((view) => awayEntry(view)) }], views);
    if (names === undefined || names === "all") return joined([await read()], views);
    const parts = views.map(async (view) =>
      isOut(view)
        ? { items: [], unavailable: [awayEntry(view)] }
        : await orFailed(view.agent, async () => await read(view.agent)),
    );
    return joined(await Promise.all(parts), views);
  }

  /** Models of the same name and digest came in several responses. */
  #merged(documents: readonly ModelDocument[]): readonly FleetModel[] {
    const models = documents.map((document) => this.model(document));
    const held = models.flatMap(({ agents, clockOffsetMs, ...model }) =>
      agents.toSorted(compareNames).map((agent) => ({ agent, models: [model], clockOffsetMs })),
    );
    return mergeModels(held);
  }
}

/** Entries of a page: no gpu-server sends more. */
const LARGEST_PAGE = "10000";

function isAway({ online, reason }: AgentView, isAsked: boolean): boolean {
  return !online || (reason === "ollama_down" && !isAsked);
}

function awayIn(pages: readonly { readonly unavailable?: readonly Unavailable[] | undefined }[]): Unavailable[] {
  return pages.flatMap(({ unavailable = [] }) => unavailable);
}

async function orFailed<Item>(agent: string, ask: () => Promise<Part<Item>>): Promise<Part<Item>> {
  try {
    return await ask();
  } catch (error) {
    const { code } = asCourierError(error);
    // The server itself, not an agent, is away or refuses.
    if (code === "unauthenticated" || code === "forbidden" || code === "cancelled") throw error;
    const said = error instanceof NobodyAnswered ? error.unavailable.find((entry) => entry.agent === agent) : undefined;
    return { items: [], unavailable: [said ?? failedEntry(agent, error)] };
  }
}

/** In the words of here for agents that are away: those of a document stay true for longer, and are harder to read. */
function joined<Item>(parts: readonly Part<Item>[], views: readonly AgentView[]): Part<Item> {
  const away = new Map(views.filter((view) => isAway(view, false)).map((view) => [view.agent, view]));
  const listed = new Set(views.map(({ agent }) => agent));
  const unavailable = parts.flatMap((part) => part.unavailable).filter(({ agent }) => listed.has(agent));
  return {
    items: parts.flatMap(({ items }) => items),
    unavailable: unavailable.map((entry) => {
      const view = away.get(entry.agent);
      return view === undefined || entry.code !== "unavailable" ? entry : awayEntry(view);
    }),
  };
}
